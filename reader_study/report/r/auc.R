# Areas under the ROC curve and their DeLong covariances; over patients (Obuchowski 1997) where
# a patient gives several cases.
readers <- sort(unique(d$reader)); cases <- unique(d[, c("case", "truth", "unit")])
cells <- expand.grid(arm = c(new, reference), reader = readers, stringsAsFactors = FALSE)
scores <- sapply(seq_len(nrow(cells)), function(i) {
  own <- d[d$arm == cells$arm[i] & d$reader == cells$reader[i], ]
  own$rating[match(cases$case, own$case)]
})
positive <- scores[cases$truth == 1, , drop = FALSE]
negative <- scores[cases$truth == 0, , drop = FALSE]
wins <- function(i) {
  outer(positive[, i], negative[, i], function(a, b) (a > b) + (a == b) / 2)
}
of_positive <- sapply(seq_len(nrow(cells)), function(i) rowMeans(wins(i)))
of_negative <- sapply(seq_len(nrow(cells)), function(i) colMeans(wins(i)))
area <- colMeans(of_positive)
if (clustered) {
  patient <- as.integer(factor(cases$unit)); total <- max(patient)
  summed <- function(parts, who) {
    out <- matrix(0, total, ncol(parts)); own <- rowsum(sweep(parts, 2, area), who)
    out[as.integer(rownames(own)), ] <- own
    out
  }
  ill <- cases$truth == 1; m <- sum(ill); n <- sum(!ill)
  a <- summed(of_positive, patient[ill]); b <- summed(of_negative, patient[!ill])
  few <- function(who) { count <- length(unique(who)); count / (count - 1) }
  across <- total / (total - 1) * crossprod(a, b)
  covariance <- few(patient[ill]) * crossprod(a) / m^2 + few(patient[!ill]) * crossprod(b) / n^2 +
    (across + t(across)) / (m * n)
} else {
  covariance <- cov(of_positive) / nrow(positive) + cov(of_negative) / nrow(negative)
}

