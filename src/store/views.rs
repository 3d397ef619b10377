// The views of migrations/, as tables are written in schema.rs. `diesel print-schema` cannot tell which of their columns may be
// NULL: that is said here by hand.

diesel::table! {
    consumption_records (account_id, id) {
        account_id -> Int8,
        id -> Uuid,
        number -> Text,
        created_at -> Timestamptz,
        bill_id -> Uuid,
        order_id -> Nullable<Uuid>,
        order_number -> Nullable<Text>,
        order_name -> Nullable<Text>,
        order_type -> Nullable<Text>,
        resource_type -> Text,
        product_name -> Text,
        datacenter -> Nullable<Text>,
        start_time -> Timestamptz,
        end_time -> Timestamptz,
        currency -> Text,
        amount -> Numeric,
        quantity -> Nullable<Int4>,
        unit_price -> Nullable<Numeric>,
        once_price -> Nullable<Numeric>,
        once_amount -> Nullable<Numeric>,
        cycle_amount -> Nullable<Numeric>,
        credit_amount -> Nullable<Numeric>,
        lines -> Nullable<Jsonb>,
    }
}

diesel::table! {
    price_rules_with_terms (id) {
        id -> Int8,
        account_id -> Nullable<Int8>,
        effective_from -> Timestamptz,
        effective_until -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        created_by -> Text,
        definition_id -> Int8,
        definition_type -> Text,
        description -> Text,
        currency -> Nullable<Text>,
        terms -> Jsonb,
        defined_at -> Timestamptz,
    }
}
