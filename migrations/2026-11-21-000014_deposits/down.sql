DROP TABLE deposits, chain_blocks, chains;
DROP INDEX prepayments_of_address;
DROP TABLE deposit_addresses;
DROP SEQUENCE deposit_address_places;
