# Cumulative link mixed model, logit, Laplace; random intercepts where there are several levels.
d$arm <- factor(d$arm, c(reference, new))
d$reader <- factor(d$reader); d$case <- factor(d$case); d$rating <- factor(d$rating)
d$patient <- factor(d$unit)
half <- function(se) qnorm(0.5 + level / 2) * se

# With the package ordinal: fitted again. Random terms as published.
by_package <- function() {
  random <- paste(c("", sprintf("(1 | %s)", names(variances))), collapse = " + ")
  model <- as.formula(paste("rating ~ arm", random))
  fit <- if (length(variances)) ordinal::clmm(model, data = d) else ordinal::clm(rating ~ arm, data = d)
  coef(summary(fit))[paste0("arm", new), c("Estimate", "Std. Error")]
}

# In base R: the likelihood written here, at the published estimate. Its gradient must be about 0,
# and one Newton step from there must lead nowhere; the standard error is from its curvature.
by_likelihood <- function() {
  if (!length(thresholds)) stop("this analysis is of an older version; run reader-study analyse again")
  groups <- lapply(d[names(variances)[variances > 1e-6]], factor)
  y <- as.integer(d$rating); x <- as.numeric(d$arm == new); k <- length(thresholds)
  z <- do.call(cbind, lapply(groups, function(g) outer(g, levels(g), "==") * 1))
  term <- rep(seq_along(groups), vapply(groups, nlevels, 1L))
  start <- rep(0, length(term))
  laplace <- function(par) {
    cut <- c(-Inf, par[1:k], Inf); fixed <- par[k + 1] * x; u <- start
    scale <- exp(par[k + 1 + seq_along(groups)])[term]
    for (step in 1:50) {
      eta <- fixed + if (length(u)) drop(z %*% (scale * u)) else 0
      a <- plogis(cut[y + 1] - eta); b <- plogis(cut[y] - eta)
      if (!length(u)) return(sum(log(a - b)))
      zs <- sweep(z, 2, scale, "*")
      hessian <- crossprod(zs, (a * (1 - a) + b * (1 - b)) * zs) + diag(length(u))
      move <- solve(hessian, crossprod(zs, a + b - 1) - u)
      if (max(abs(move)) < 1e-10) break
      u <- u + drop(move)
    }
    sum(log(a - b)) - sum(u^2) / 2 - as.numeric(determinant(hessian)$modulus) / 2
  }
  par <- c(thresholds, log_odds, log(sqrt(variances[names(groups)])))
  n <- length(par); h <- 1e-3; unit <- diag(h, n)
  at <- function(...) laplace(par + c(...))
  slope <- vapply(1:n, function(i) (at(unit[i, ]) - at(-unit[i, ])) / (2 * h), 1)
  curve <- matrix(0, n, n)
  for (i in 1:n) for (j in 1:i) {
    p <- unit[i, ]; q <- unit[j, ]
    curve[i, j] <- curve[j, i] <- (at(p + q) - at(p - q) - at(q - p) + at(-p - q)) / (4 * h^2)
  }
  cat("Log likelihood here", format(laplace(par), digits = 10), "published",
      format(loglik, digits = 10), "\nLargest slope", format(max(abs(slope)), digits = 2), "\n")
  if (abs(laplace(par) - loglik) > 1e-4) stop("R finds another log likelihood at the published estimate")
  c(log_odds - solve(curve, slope)[k + 1], sqrt(diag(solve(-curve)))[k + 1])
}
row <- if (requireNamespace("ordinal", quietly = TRUE)) by_package() else by_likelihood()
found <- exp(c(estimate = row[[1]], low = row[[1]] - half(row[[2]]), high = row[[1]] + half(row[[2]])))
