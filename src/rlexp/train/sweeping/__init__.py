"""A sweep's points in worker processes that stay: who starts them, what they keep, what is planned and continued."""
