DROP TABLE prepay_quotes, exchange_rates;
