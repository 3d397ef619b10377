DROP FUNCTION forget_keys_of_pages;
