"""Do the tests notice when the code is wrong? One small change at a time, and the tests on it."""
