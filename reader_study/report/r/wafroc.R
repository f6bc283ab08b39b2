# Weighted AFROC areas: chance that a lesion is rated above the highest mark of a case without
# lesions, every case with lesions counting once; unmarked rates below all marks. Covariances by
# the jackknife, over patients where a patient gives several cases.
cases <- read.csv(file.path(folder, "cases.csv"), colClasses = c(case = "character"))
unit <- if (clustered) as.character(cases$patient) else cases$case
readers <- sort(unique(d$reader))
cells <- expand.grid(arm = c(new, reference), reader = readers, stringsAsFactors = FALSE)
healthy <- which(cases$n_lesions == 0); ill <- which(cases$n_lesions > 0)
wins <- function(i) {
  own <- d[d$arm == cells$arm[i] & d$reader == cells$reader[i] & !is.na(d$mark) & d$mark != "", ]
  best <- sapply(cases$case[healthy], function(name) {
    max(-Inf, own$rating[own$case == name & own$mark == "NL"])
  })
  sapply(ill, function(at) {
    found <- own[own$case == cases$case[at] & own$mark == "LL", ]
    lesion <- rep(-Inf, cases$n_lesions[at]); lesion[found$lesion] <- found$rating
    rowMeans(outer(best, lesion, function(a, b) (b > a) + (b == a) / 2))
  })
}
won <- lapply(seq_len(nrow(cells)), wins)
area <- sapply(won, mean)
left_out <- sapply(unique(unit), function(one) {
  keep <- unit != one
  sapply(won, function(w) mean(w[keep[healthy], keep[ill]]))
})
centred <- left_out - rowMeans(left_out)
covariance <- (ncol(left_out) - 1) / ncol(left_out) * tcrossprod(centred)

