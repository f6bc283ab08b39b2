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
    if (spread > 0) max(variance^2 / spread, min(readers, cases) - 1) else readers - 1
  list(mean = mean(y), se = sqrt(variance), df = df, n = n, cases = cases)
}

