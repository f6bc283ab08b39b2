# Two arms in what the endpoint counts (the column rating, higher is better): within reader and case
# where readers met cases in both arms; else each reading as its signed distance from the mean of
# its arm, scaled so that the sum is the difference.
d <- d[d$arm %in% c(new, reference), ]
key <- paste(match(d$reader, unique(d$reader)), match(d$case, unique(d$case)))
one <- d$arm == new
if (any(duplicated(key))) {
  pairs <- merge(d[one, ], d[!one, ], by = c("reader", "case", "unit"), suffixes = c("_new", "_old"))
  m <- crossed(pairs$rating_new - pairs$rating_old, pairs$reader, pairs$unit)
  gap <- m$mean
} else {
  means <- c(mean(d$rating[one]), mean(d$rating[!one]))
  gap <- means[1] - means[2]
  weight <- ifelse(one, nrow(d) / sum(one), -nrow(d) / sum(!one))
  m <- crossed(weight * (d$rating - ifelse(one, means[1], means[2])), d$reader, d$unit)
}
half <- qt(0.5 + level / 2, m$df) * m$se
found <- c(estimate = gap, low = gap - half, high = gap + half)
if (endpoint == "time") found <- exp(found)  # ratings are minus the logarithm of seconds
