# The model stands in the table as one more reader. Copied to each reader as an arm of its own, it
# leaves the analysis of two arms with the same estimate, error and degrees of freedom as the
# one-treatment analysis of the differences (reader minus model).
keys <- c("reader", "case")
d <- d[d$case %in% names(which(table(d$case) == length(unique(d$reader)))), ]
model <- d[d$reader == new, ]; panel <- d[d$reader != new, ]
d <- rbind(panel, do.call(rbind, lapply(unique(panel$reader), function(who) {
  transform(model, reader = who, arm = new)
})))
