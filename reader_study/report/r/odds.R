# Cumulative link mixed model, logit, Laplace; random intercepts where there are several levels.
suppressPackageStartupMessages(library(ordinal))
d$arm <- factor(d$arm, c(reference, new))
d$reader <- factor(d$reader); d$case <- factor(d$case); d$rating <- factor(d$rating)
d$patient <- factor(d$unit)
random <- c(if (nlevels(d$reader) > 1) "(1 | reader)", if (clustered) "(1 | patient)",
            if (nlevels(d$case) > 1) "(1 | case)")
model <- as.formula(paste("rating ~ arm", paste(c("", random), collapse = " + ")))
fit <- if (length(random)) clmm(model, data = d) else clm(rating ~ arm, data = d)
row <- coef(summary(fit))[paste0("arm", new), ]
half <- qnorm(0.5 + level / 2) * row[["Std. Error"]]
found <- exp(c(estimate = row[["Estimate"]], low = row[["Estimate"]] - half,
               high = row[["Estimate"]] + half))
