"""Agreement with a reference: error, SSIM, VIF, GMSD, and their tables over patients."""
