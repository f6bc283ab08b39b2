# Share of cases called, each reader and arm; covariances by leaving out one case (or patient) of
# those that enter. Cases that somebody did not rate in both arms are left out.
readers <- sort(unique(d$reader))
d <- d[d$case %in% names(which(table(d$case) == 2 * length(readers))), ]
cases <- unique(d[, c("case", "truth", "unit")])
cells <- expand.grid(arm = c(new, reference), reader = readers, stringsAsFactors = FALSE)
enters <- switch(share, sensitivity = cases$truth == 1, specificity = cases$truth == 0,
                 rep(TRUE, nrow(cases)))
cases <- cases[enters, ]
counted <- sapply(seq_len(nrow(cells)), function(i) {
  own <- d[d$arm == cells$arm[i] & d$reader == cells$reader[i], ]
  called <- own$rating[match(cases$case, own$case)] >= called_from
  if (share == "recall") called else called == (cases$truth == 1)
})
area <- colMeans(counted)
sums <- rowsum(1 * counted, cases$unit); sizes <- rowsum(rep(1, nrow(cases)), cases$unit)[, 1]
without <- sweep(-sums, 2, colSums(counted), "+") / (nrow(cases) - sizes)
covariance <- (nrow(without) - 1)^2 / nrow(without) * cov(without)
