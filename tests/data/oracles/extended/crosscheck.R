# Base R, no packages: Rscript crosscheck.R > crosscheck_R.json, in the folder of the data sets.
# Written from the papers, by loops over pairs, as a check on the kit's faster code.
psi <- function(x, y) if (x > y) 1 else if (x == y) 0.5 else 0
num <- function(v) paste0("[", paste(sprintf("%.15g", v), collapse = ", "), "]")
said <- character(0)
say <- function(name, v) said <<- c(said, sprintf('  "%s": %s', name, num(v)))

# Obuchowski 1997, Biometrics 53:567: areas and covariance with patients as clusters.
clustered <- function(scores, truth, patient) {  # scores: list of vectors
  ids <- unique(patient); I <- length(ids)
  M <- sum(truth == 1); N <- sum(truth == 0)
  parts <- lapply(scores, function(s) {
    X <- s[truth == 1]; Y <- s[truth == 0]; px <- patient[truth == 1]; py <- patient[truth == 0]
    v10 <- sapply(X, function(x) mean(sapply(Y, function(y) psi(x, y))))
    v01 <- sapply(Y, function(y) mean(sapply(X, function(x) psi(x, y))))
    a <- mean(v10)
    list(a = a, d10 = sapply(ids, function(i) sum(v10[px == i]) - sum(px == i) * a),
         d01 = sapply(ids, function(i) sum(v01[py == i]) - sum(py == i) * a))
  })
  I10 <- length(unique(patient[truth == 1])); I01 <- length(unique(patient[truth == 0]))
  k <- length(scores); cov <- matrix(0, k, k)
  for (p in 1:k) for (q in 1:k) {
    s10 <- I10 / ((I10 - 1) * M) * sum(parts[[p]]$d10 * parts[[q]]$d10)
    s01 <- I01 / ((I01 - 1) * N) * sum(parts[[p]]$d01 * parts[[q]]$d01)
    s11 <- I / (I - 1) * sum(parts[[p]]$d10 * parts[[q]]$d01)
    t11 <- I / (I - 1) * sum(parts[[q]]$d10 * parts[[p]]$d01)
    cov[p, q] <- s10 / M + s01 / N + (s11 + t11) / (M * N)
  }
  list(areas = sapply(parts, function(p) p$a), cov = cov)
}
d <- read.csv("../mrmc_clip.csv"); d <- d[order(d$reader, d$arm, d$case), ]
cells <- split(d, list(d$reader, d$arm), drop = TRUE)
one <- cells[[1]]
patient <- (as.integer(sub("C", "", one$case)) - 1) %/% 3  # three cases a patient
got <- clustered(lapply(cells, function(c) c$rating), one$truth, patient)
said <- c(said, sprintf('  "clustered_cells": ["%s"]', paste(names(cells), collapse = '", "')))
say("clustered_areas", got$areas); say("clustered_covariance", as.vector(got$cov))

# Free response: figures, and the analysis of Obuchowski and Rockette with a jackknife (Hillis 2007).
m <- read.csv("../froc.csv"); cases <- read.csv("../froc_cases.csv")
highest <- function(rows) if (nrow(rows)) max(rows$rating) else -Inf
figure_of <- function(marks, cases, fom) {
  if (fom == "hrauc") {
    s <- sapply(cases$case, function(c) highest(marks[marks$case == c, ]))
    return(mean(outer(s[cases$truth == 1], s[cases$truth == 0], Vectorize(psi))))
  }
  marks <- marks[marks$case %in% cases$case, ]
  false <- sort(marks$rating[marks$mark == "NL"], decreasing = TRUE)
  found <- marks$rating[marks$mark == "LL"]
  shares <- sapply(c(.125, .25, .5, 1, 2, 4, 8), function(rate) {
    allowed <- floor(rate * nrow(cases) + 1e-9)
    cut <- if (allowed < length(false)) false[allowed + 1] else -Inf
    sum(found > cut) / sum(cases$n_lesions)
  })
  mean(shares)
}
for (fom in c("hrauc", "froc")) {
  readers <- sort(unique(m$reader)); arms <- sort(unique(m$arm)); r <- length(readers); t <- length(arms)
  grid <- expand.grid(reader = readers, arm = arms, stringsAsFactors = FALSE)
  value <- function(keep) sapply(seq_len(nrow(grid)), function(g)
    figure_of(m[m$reader == grid$reader[g] & m$arm == grid$arm[g], ], cases[keep, ], fom))
  all <- value(rep(TRUE, nrow(cases))); K <- nrow(cases)
  left <- sapply(1:K, function(k) value(seq_len(K) != k))
  centred <- left - rowMeans(left); cov <- centred %*% t(centred) * (K - 1) / K
  same_arm <- outer(grid$arm, grid$arm, "=="); same_reader <- outer(grid$reader, grid$reader, "==")
  cov2 <- mean(cov[same_arm & !same_reader]); cov3 <- mean(cov[!same_arm & !same_reader])
  table <- matrix(all, r, t)  # reader x arm
  MST <- r * var(colMeans(table))
  MSTR <- sum((table - outer(rowMeans(table), rep(1, t)) - outer(rep(1, r), colMeans(table)) + mean(table))^2) /
    ((r - 1) * (t - 1))
  below <- MSTR + r * max(cov2 - cov3, 0)
  df2 <- below^2 / (MSTR^2 / ((t - 1) * (r - 1)))
  f <- MST / below
  said <- c(said, sprintf('  "%s_cells": ["%s"]', fom, paste(grid$reader, grid$arm, sep = ".", collapse = '", "')))
  say(paste0(fom, "_figures"), all); say(paste0(fom, "_test"), c(f, df2, 1 - pf(f, t - 1, df2)))
}

# Visual grading: the area's t interval (each case is a cluster of its two ratings), and the exact
# permutation test over all exchanges of the arms of ten cases.
l <- read.csv("../likert.csv"); l <- l[l$showing == 1, ]
w <- merge(l[l$arm == "denoised", c("reader", "case", "noise")], l[l$arm == "ultra_low", c("reader", "case", "noise")],
           by = c("reader", "case"))
whole <- names(which(tapply(!is.na(w$noise.x) & !is.na(w$noise.y), w$case, sum) == length(unique(w$reader))))
w <- w[w$case %in% whole, ]; w <- w[order(w$reader, w$case), ]
by <- split(w, w$reader); n <- length(whole); r <- length(by)
s <- lapply(by, function(b) c(b$noise.x, b$noise.y))
got <- clustered(s, rep(c(1, 0), each = n), rep(1:n, 2))
a <- mean(got$areas); own <- var(got$areas); off <- mean(got$cov[!diag(r)]); total <- own + r * max(off, 0)
se <- sqrt(total / r); df <- (r - 1) * (total / own)^2
said <- c(said, sprintf('  "vgc_cases": ["%s"]', paste(sort(whole), collapse = '", "')))
say("vgc_t", c(a, se, df, a - qt(.975, df) * se, a + qt(.975, df) * se))
ten <- sort(whole)[1:10]; x <- lapply(by, function(b) b$noise.x[match(ten, b$case)])
y <- lapply(by, function(b) b$noise.y[match(ten, b$case)])
area <- function(swap) mean(mapply(function(p, q) {
  u <- ifelse(swap, q, p); v <- ifelse(swap, p, q); mean((outer(u, v, ">") + 0.5 * outer(u, v, "==")))
}, x, y))
seen <- area(rep(FALSE, 10))
every <- sapply(0:1023, function(k) area(bitwAnd(k, 2^(0:9)) > 0))
say("vgc_exact", c(seen, mean(abs(every - 0.5) >= abs(seen - 0.5) - 1e-9)))
cat("{\n", paste(said, collapse = ",\n"), "\n}\n", sep = "")
