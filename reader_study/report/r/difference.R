# Mean of paired differences, new minus reference, of each reader and case.
if ("score" %in% names(d)) {
  pairs <- aggregate(score ~ reader + case + unit, data = d, FUN = mean)
} else {
  each <- aggregate(rating ~ reader + case + unit + arm, data = d, FUN = mean)
  pairs <- merge(each[each$arm == new, ], each[each$arm == reference, ],
                 by = c("reader", "case", "unit"), suffixes = c("_new", "_reference"))
  pairs$score <- pairs$rating_new - pairs$rating_reference
}
m <- crossed(pairs$score, pairs$reader, pairs$unit)
half <- qt(0.5 + level / 2, m$df) * m$se
found <- c(estimate = m$mean, low = m$mean - half, high = m$mean + half)
