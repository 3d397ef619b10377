DROP FUNCTION owned_number;
