DROP TABLE currency_scales;
DROP TABLE installation;
