# Areas over all triples (reader, case without, case with the finding) that were read; variance
# from products of two triples by what they share (Gallas 2006; Gallas & Brown 2008), not let
# below what the readers' own spread gives; Satterthwaite degrees of freedom.
readers <- sort(unique(d$reader)); cases <- unique(d[, c("case", "truth")])
healthy <- cases$case[cases$truth == 0]; ill <- cases$case[cases$truth == 1]
size <- c(length(readers), length(healthy), length(ill))
triples <- function(arm) {
  won <- array(NA_real_, size)
  for (r in seq_along(readers)) {
    own <- d[d$arm == arm & d$reader == readers[r], ]
    won[r, , ] <- outer(own$rating[match(healthy, own$case)], own$rating[match(ill, own$case)],
                        function(low, high) (high > low) + (high == low) / 2)
  }
  read <- 1 * !is.na(won); won[is.na(won)] <- 0
  list(won = won, read = read, total = sum(read), area = sum(won) / sum(read))
}
sets <- as.matrix(expand.grid(reader = 0:1, healthy = 0:1, ill = 0:1)); many <- rowSums(sets)
holds <- apply(sets, 1, function(large) apply(sets, 1, function(small) all(small <= large)))
summed <- function(x, set) if (any(set == 1)) apply(x, which(set == 1), sum) else sum(x)
exactly <- function(x, y) {  # sums over pairs of triples that share this set and no more
  least <- apply(sets, 1, function(set) sum(summed(x, set) * summed(y, set)))
  sapply(1:8, function(s) sum(((-1)^(many - many[s]) * least)[holds[s, ]]))
}
parts <- function(x, y) {
  products <- exactly(x$won, y$won); counts <- exactly(x$read, y$read)
  moment <- ifelse(counts > 0.5, products / counts, 0)
  sapply(1:8, function(s) {
    sum(((-1)^(many[s] - many) * moment)[holds[, s]]) * sum(counts[holds[s, ]])
  }) / (x$total * y$total)
}
a <- triples(new); b <- triples(reference)
part <- parts(a, a) + parts(b, b) - 2 * parts(a, b); part[1] <- 0
own <- function(x) apply(x$read, 1, sum)
pull <- function(x) (apply(x$won, 1, sum) - x$area * own(x)) / x$total
of_readers <- size[1] / (size[1] - 1) * sum((pull(a) - pull(b))^2)
effective <- 1 / sum(((own(a) / a$total + own(b) / b$total) / 2)^2)
guarded <- of_readers + max(sum(part[sets[, "reader"] == 0]), 0)
complete <- all(a$read == 1) && all(b$read == 1)
variance <- if (complete && sum(part) > 0) sum(part) else max(sum(part), guarded)
carried <- c(of_readers, sum(part[sets[, "healthy"] == 1]), sum(part[sets[, "ill"] == 1]))
levels <- c(effective, size[2:3]) - 1
df <- max((if (complete) sum(part) else guarded)^2 / sum(carried^2 / levels), min(levels))
difference <- a$area - b$area
half <- qt(0.5 + level / 2, df) * sqrt(max(variance, 0))
found <- c(estimate = difference, low = difference - half, high = difference + half)
