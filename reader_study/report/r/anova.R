# Obuchowski-Rockette with Hillis degrees of freedom, two arms, readers and cases random.
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
