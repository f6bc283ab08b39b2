# Share of decided pairs won by the new arm; Korn-Graubard limits at the effective sample size.
d <- d[d$choice != "tie", ]
won <- as.numeric(ifelse(d$left == new, d$choice == "left", d$choice == "right"))
m <- crossed(won, d$reader, d$unit)
p <- m$mean
if (p <= 0 || p >= 1 || m$se == 0) {
  size <- if (m$cases > 1) m$cases else 1
} else {
  size <- min(m$n, p * (1 - p) / m$se^2)
  if (m$n > 1) size <- size * (qt(0.5 + level / 2, m$n - 1) / qt(0.5 + level / 2, m$df))^2
  size <- min(m$n, size)
}
tail <- (1 - level) / 2
hits <- min(p * size, size)
low <- if (hits <= 0) 0 else qbeta(tail, hits, size - hits + 1)
high <- if (hits >= size) 1 else qbeta(1 - tail, hits + 1, size - hits)
found <- c(estimate = p, low = low, high = high)
