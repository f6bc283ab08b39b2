# Is a denoised scan preferred? A simulated study
# Primary result: share of decided pairs won, new against reference, item quality.
# Usage: Rscript primary.R [folder with primary.csv]
args <- commandArgs(TRUE)
folder <- if (length(args)) args[1] else "."
d <- read.csv(file.path(folder, "primary.csv"), stringsAsFactors = FALSE,
              colClasses = c(reader = "character", case = "character"))
new <- "new"
reference <- "reference"
level <- 0.95
# Patients are the independent units where some of them gave several cases.
patients <- length(unique(d$patient))
clustered <- patients > 1 && patients < length(unique(d$case))
d$unit <- if (clustered) as.character(d$patient) else d$case

# Mean of readings with readers and cases both random: moments of products over pairs of
# readings (Gallas 2006); MS(reader) + max(MS(case) - MS(rest), 0) with Satterthwaite degrees of
# freedom; with fewer than four readers no component is let below zero. Where a patient gives
# several cases, the unit is the patient and products are of sums over its cases.
crossed <- function(y, reader, unit) {
  key <- paste(match(reader, unique(reader)), match(unit, unique(unit)))
  n <- length(y); first <- !duplicated(key); key <- factor(key, unique(key))
  e <- as.numeric(tapply(y - mean(y), key, sum)); w <- as.numeric(table(key)); size <- length(e)
  r <- as.integer(factor(reader[first])); k <- as.integer(factor(unit[first]))
  readers <- max(r); cases <- max(k)
  per_r <- tapply(w, r, sum); per_k <- tapply(w, k, sum); squares <- sum(e^2); own <- sum(w^2)
  pairs_r <- sum(per_r^2) - own; pairs_k <- sum(per_k^2) - own
  pairs_none <- n^2 - own - pairs_r - pairs_k
  if (pairs_none <= 0) {
    spread <- squares / own * size / (size - 1)
    component <- if (pairs_r == 0) c(spread, 0, 0) else c(0, spread, 0)
  } else {
    same_r <- sum(tapply(e, r, sum)^2) - squares
    same_k <- sum(tapply(e, k, sum)^2) - squares
    none <- (sum(e)^2 - squares - same_r - same_k) / pairs_none
    by_r <- if (pairs_r > 0) same_r / pairs_r else none
    by_k <- if (pairs_k > 0) same_k / pairs_k else none
    component <- c(by_r - none, by_k - none, squares / own - by_r - by_k + none)
  }
  parts <- c(component[1], max(component[2], 0), component[3]) *
    c(sum(per_r^2) / n^2, sum(per_k^2) / n^2, own / n^2)
  few <- readers < 4
  if (few || parts[1] + parts[3] < 0) parts <- pmax(parts, 0)
  variance <- max(sum(parts), 0)
  carried <- c(parts[1] + parts[3], if (few) parts[2] + parts[3] else parts[2])
  spread <- sum(carried^2 / c(readers - 1, cases - 1))
  if (few) spread <- spread + parts[3]^2 / ((readers - 1) * (cases - 1))
  df <- if (readers == 1) cases - 1 else if (cases == 1) readers - 1 else
    if (spread > 0) variance^2 / spread else readers - 1
  list(mean = mean(y), se = sqrt(variance), df = df, n = n, cases = cases)
}

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

published <- c(estimate = 1, low = 1, high = 1) * c(0.6883116883116883, 0.5513200055087568, 0.8048061890336796)
tolerance <- 1e-06
print(rbind(published = published, r = found), digits = 8)
gap <- max(abs(found - published) / pmax(1, abs(published)), na.rm = TRUE)
if (!(gap < tolerance)) stop("R does not repeat the published result; gap ", gap)
cat("The published result is repeated (largest gap ", format(gap, digits = 2), ").\n",
    sep = "")
