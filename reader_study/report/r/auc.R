# Obuchowski-Rockette with DeLong covariances, Hillis degrees of freedom, two arms.
readers <- sort(unique(d$reader)); cases <- unique(d[, c("case", "truth")])
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
covariance <- cov(of_positive) / nrow(positive) + cov(of_negative) / nrow(negative)
count <- length(readers)
value <- matrix(area, nrow = 2)  # rows: new, reference; columns: readers
difference <- mean(value[1, ] - value[2, ])
if (count == 1) {
  se <- sqrt(covariance[1, 1] + covariance[2, 2] - 2 * covariance[1, 2]); df <- Inf
} else {
  same_arm <- outer(cells$arm, cells$arm, "==")
  same_reader <- outer(cells$reader, cells$reader, "==")
  cov2 <- mean(covariance[same_arm & !same_reader])
  cov3 <- mean(covariance[!same_arm & !same_reader])
  centred <- value - rowMeans(value)
  rest <- sweep(centred, 2, colMeans(centred))
  mean_square <- sum(rest^2) / (count - 1)
  error <- mean_square + count * max(cov2 - cov3, 0)
  se <- sqrt(2 * error / count)
  df <- if (mean_square > 0) error^2 / mean_square^2 * (count - 1) else Inf
}
half <- qt(0.5 + level / 2, df) * se
found <- c(estimate = difference, low = difference - half, high = difference + half)
