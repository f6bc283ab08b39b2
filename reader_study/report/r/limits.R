# Limits of agreement of measurements (Wen and Gallas 2022, doi:10.1080/19466315.2022.2063169), from
# mean squares of base R's aov. Cases that somebody did not measure in both arms are left out.
d <- aggregate(rating ~ reader + case + arm, data = d, FUN = mean)
readers <- length(unique(d$reader))
d <- d[d$case %in% names(which(table(d$case) == 2 * readers)), ]
cases <- length(unique(d$case))
d$reader <- factor(d$reader); d$case <- factor(d$case); d$arm <- factor(d$arm)
squares <- function(formula, data) {
  shown <- summary(aov(formula, data = data))[[1]]
  setNames(shown[["Mean Sq"]], trimws(rownames(shown)))
}
half <- function(variance) qnorm(0.5 + level / 2) * sqrt(variance)
# The same reader in both arms: differences by reader and case.
p <- merge(d[d$arm == new, ], d[d$arm == reference, ], by = c("reader", "case"))
p$apart <- p$rating.x - p$rating.y
m <- squares(apart ~ reader + case, p)
rest <- m[["Residuals"]]; of_reader <- (m[["reader"]] - rest) / cases
of_case <- (m[["case"]] - rest) / readers
one <- of_reader + of_case + rest
of_mean <- of_reader / readers + of_case / cases + rest / (readers * cases)
# Two readers, one in each arm: readers, cases and arms in three ways without replicates.
m <- squares(rating ~ reader * case + reader * arm + case * arm, d)
e <- m[["Residuals"]]
v <- c(rc = (m[["reader:case"]] - e) / 2, ra = (m[["reader:arm"]] - e) / cases,
       ca = (m[["case:arm"]] - e) / readers, e = e,
       r = (m[["reader"]] + e - m[["reader:case"]] - m[["reader:arm"]]) / (2 * cases))
two <- 2 * sum(v)
mean_apart <- mean(p$apart)
found <- c(estimate = mean_apart, low = mean_apart - half(of_mean), high = mean_apart + half(of_mean),
           same_low = mean_apart - half(one), same_high = mean_apart + half(one),
           two_low = mean_apart - half(two), two_high = mean_apart + half(two))
