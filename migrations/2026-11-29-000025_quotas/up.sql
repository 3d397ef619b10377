-- Orders that wait for their first payment: an account has few of them.
CREATE INDEX orders_unpaid ON orders (account_id) WHERE state = 'UNPAID';
