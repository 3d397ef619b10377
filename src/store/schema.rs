//! The tables, as migrations/ make them; what no statement of the query builder names is left out.

diesel::table! {
    accounts (id) {
        id -> BigInt,
        namespace -> Text,
        external_id -> Nullable<Text>,
        name -> Text,
        kind -> Text,
        parent_id -> Nullable<BigInt>,
        status -> Text,
        suspension -> Nullable<Text>,
        currency -> Text,
        time_zone -> Text,
        manager_name -> Nullable<Text>,
        manager_email -> Nullable<Text>,
        credit_limit -> Nullable<Numeric>,
        balance -> Numeric,
        overdrawn -> Bool,
        purchased -> Bool,
        last_no -> BigInt,
        last_entry_seq -> BigInt,
        last_entry_hash -> Nullable<Binary>,
        last_entry_at -> Nullable<Timestamptz>,
        closed_until -> Nullable<Timestamptz>,
        closed_at -> Nullable<Timestamptz>,
        erased_at -> Nullable<Timestamptz>,
        suspended_at -> Nullable<Timestamptz>,
        suspension_held_until -> Nullable<Timestamptz>,
        on_demand_rate -> Numeric,
        burst_cycle -> Nullable<Integer>,
        burst_rate -> Nullable<Numeric>,
        burst_warned -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    resources (code) {
        code -> Text,
        name -> Text,
        unit -> Text,
        resource_type -> Text,
        aggregation -> Text,
        allows_corrections -> Bool,
    }
}

diesel::table! {
    plans (id) {
        id -> Uuid,
        name -> Text,
        #[sql_name = "type"]
        plan_type -> Text,
        region -> Nullable<Text>,
        resource_type -> Text,
        currency -> Text,
        price -> Numeric,
        once_price -> Nullable<Numeric>,
        bill_period -> Text,
        description -> Text,
        created_at -> Timestamptz,
        retired_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    plan_resources (plan_id, resource_code) {
        plan_id -> Uuid,
        resource_code -> Text,
        amount -> Numeric,
    }
}

diesel::table! {
    orders (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        name -> Text,
        #[sql_name = "type"]
        order_type -> Text,
        state -> Text,
        previous_id -> Nullable<Uuid>,
        plan_id -> Nullable<Uuid>,
        exclusive -> Bool,
        quantity -> Integer,
        region -> Nullable<Text>,
        datacenter -> Nullable<Text>,
        resource_type -> Text,
        product_name -> Text,
        bill_period -> Text,
        currency -> Text,
        price -> Numeric,
        once_price -> Nullable<Numeric>,
        seq -> Integer,
        seq_count -> Integer,
        auto_renewal -> Bool,
        comment -> Nullable<Text>,
        delivered_at -> Nullable<Timestamptz>,
        expires_at -> Nullable<Timestamptz>,
        anchor_at -> Nullable<Timestamptz>,
        anchor_months -> Integer,
        renewed_by -> Nullable<Uuid>,
        next_step_at -> Nullable<Timestamptz>,
        resource_code -> Nullable<Text>,
        resource_amount -> Nullable<Numeric>,
        term_months -> Nullable<Integer>,
        cancelled_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    bills (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        number -> Text,
        order_id -> Nullable<Uuid>,
        status -> Text,
        currency -> Text,
        amount -> Numeric,
        once_amount -> Numeric,
        cycle_amount -> Numeric,
        credit_amount -> Numeric,
        start_time -> Timestamptz,
        end_time -> Timestamptz,
        seq -> Integer,
        seq_count -> Integer,
        due_at -> Timestamptz,
        last_paid_at -> Nullable<Timestamptz>,
        paid_by -> Nullable<Uuid>,
        refunded_amount -> Numeric,
        credited_amount -> Nullable<Numeric>,
        replaced_amount -> Nullable<Numeric>,
        withheld_amount -> Nullable<Numeric>,
        next_step_at -> Nullable<Timestamptz>,
        datacenter -> Nullable<Text>,
        correction_of -> Nullable<Uuid>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    transactions (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        kind -> Text,
        status -> Text,
        currency -> Text,
        amount -> Numeric,
        debit_ledger -> Text,
        credit_ledger -> Text,
        description -> Text,
        payment_method -> Text,
        order_id -> Nullable<Uuid>,
        bill_id -> Nullable<Uuid>,
        refund_of -> Nullable<Uuid>,
        refunded_amount -> Numeric,
        balance_after -> Nullable<Numeric>,
        region -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    ledger_entries (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        seq -> BigInt,
        time -> Timestamptz,
        poll_time -> Nullable<Timestamptz>,
        currency -> Text,
        amount -> Numeric,
        initial -> Numeric,
        end -> Numeric,
        reason -> Text,
        billing_cycle -> Nullable<Integer>,
        interval -> Nullable<Integer>,
        resource_code -> Nullable<Text>,
        resource_amount -> Numeric,
        hash -> Binary,
        key_version -> SmallInt,
    }
}

// A view: records of both kinds.
diesel::table! {
    told_records (account_id, id) {
        account_id -> BigInt,
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
        quantity -> Nullable<Integer>,
        unit_price -> Nullable<Numeric>,
        once_price -> Nullable<Numeric>,
        once_amount -> Nullable<Numeric>,
        cycle_amount -> Nullable<Numeric>,
        credit_amount -> Nullable<Numeric>,
        lines -> Nullable<Jsonb>,
    }
}

diesel::table! {
    closed_months (account_id, start_time) {
        account_id -> BigInt,
        start_time -> Timestamptz,
        end_time -> Timestamptz,
        period -> Date,
        revision -> Integer,
        usage_version -> BigInt,
        bill_id -> Nullable<Uuid>,
        usage_amount -> Numeric,
        amount -> Numeric,
        billed_amount -> Numeric,
        withheld_amount -> Numeric,
        forgiven_amount -> Numeric,
        unrated -> Jsonb,
        closed_at -> Timestamptz,
    }
}

diesel::table! {
    billing_runs (period, time_zone) {
        period -> Date,
        time_zone -> Text,
        start_time -> Timestamptz,
        end_time -> Timestamptz,
        state -> Text,
        total -> BigInt,
        done -> BigInt,
        failed -> BigInt,
        started_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    idempotency_keys (account_id, key) {
        account_id -> BigInt,
        key -> Text,
        mutation -> Text,
        fingerprint -> Binary,
        transaction_id -> Nullable<Uuid>,
        order_id -> Nullable<Uuid>,
        bill_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        payment_id -> Nullable<Uuid>,
        prepayment_id -> Nullable<Uuid>,
        approval_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    approvals (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        mutation -> Text,
        input -> Text,
        currency -> Text,
        amount -> Numeric,
        key -> Nullable<Text>,
        asked_by -> Text,
        asked_at -> Timestamptz,
        state -> Text,
        decided_by -> Nullable<Text>,
        decided_at -> Nullable<Timestamptz>,
        reason -> Nullable<Text>,
        next_step_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    notices (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        kind -> Text,
        message -> Text,
        subject -> Nullable<Text>,
        at -> Timestamptz,
        acknowledged_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    resource_prices (id) {
        id -> BigInt,
        resource_code -> Text,
        currency -> Text,
        level -> Integer,
        price -> Numeric,
        unit -> Text,
        multiplier -> Numeric,
        cluster_id -> Nullable<Text>,
        chart_name -> Nullable<Text>,
        effective_from -> Timestamptz,
    }
}

diesel::table! {
    licenses (id) {
        id -> BigInt,
        resource_code -> Text,
        long_name -> Text,
        #[sql_name = "type"]
        license_type -> Text,
        user_metric -> Text,
        burstable -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    exchange_rates (id) {
        id -> BigInt,
        base -> Text,
        quote -> Text,
        rate -> Numeric,
        source -> Text,
        observed_at -> Timestamptz,
    }
}

diesel::table! {
    payment_methods (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        provider -> Text,
        provider_token -> Text,
        provider_customer -> Nullable<Text>,
        brand -> Text,
        last4 -> Text,
        expires_on -> Date,
        removed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    price_definitions (id) {
        id -> BigInt,
        #[sql_name = "type"]
        definition_type -> Text,
        description -> Text,
        currency -> Nullable<Text>,
        terms -> Jsonb,
        created_at -> Timestamptz,
    }
}

// A view: rules with what they say.
diesel::table! {
    told_price_rules (id) {
        id -> BigInt,
        account_id -> Nullable<BigInt>,
        effective_from -> Timestamptz,
        effective_until -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        created_by -> Text,
        definition_id -> BigInt,
        definition_type -> Text,
        description -> Text,
        currency -> Nullable<Text>,
        terms -> Jsonb,
        defined_at -> Timestamptz,
    }
}

diesel::table! {
    prepay_quotes (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        currency -> Text,
        amount -> Numeric,
        usd -> Numeric,
        months -> Integer,
        cluster_id -> Text,
        chart_name -> Text,
        cpu_limit -> Integer,
        mem_limit -> Integer,
        storage_limit -> Integer,
        steps -> Jsonb,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    payments (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        purpose -> Text,
        state -> Text,
        currency -> Text,
        amount -> Numeric,
        description -> Text,
        method_id -> Uuid,
        provider -> Text,
        provider_token -> Text,
        provider_customer -> Nullable<Text>,
        brand -> Text,
        on_session -> Bool,
        prepayment_id -> Nullable<Uuid>,
        refund_of -> Nullable<Uuid>,
        transaction_id -> Nullable<Uuid>,
        reference -> Nullable<Text>,
        failure -> Nullable<Text>,
        action_url -> Nullable<Text>,
        attempts -> Integer,
        next_step_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    reversals (account_id, provider, reference) {
        account_id -> BigInt,
        provider -> Text,
        reference -> Text,
        kind -> Text,
        payment_id -> Uuid,
        currency -> Text,
        amount -> Numeric,
        status -> Text,
        withdrawn -> Numeric,
        reinstated -> Numeric,
        is_open -> Bool,
        booked -> Numeric,
        beyond -> Numeric,
        taken_by -> Nullable<Uuid>,
        returned_by -> Nullable<Uuid>,
    }
}

diesel::table! {
    unmatched_payments (provider, reference) {
        provider -> Text,
        reference -> Text,
        kind -> Text,
        payment_id -> Uuid,
        account_id -> Nullable<BigInt>,
        currency -> Text,
        amount -> Numeric,
        status -> Text,
        why -> Text,
        seen_at -> Timestamptz,
    }
}

diesel::table! {
    prepayments (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        status -> Text,
        quote_id -> Uuid,
        method_id -> Nullable<Uuid>,
        currency -> Text,
        amount -> Numeric,
        usd -> Numeric,
        months -> Integer,
        cluster_id -> Text,
        chart_name -> Text,
        cpu_limit -> Integer,
        mem_limit -> Integer,
        storage_limit -> Integer,
        auto_renewal -> Bool,
        deposit_address -> Nullable<Text>,
        deposit_again_until -> Nullable<Timestamptz>,
        failure -> Nullable<Text>,
        action_url -> Nullable<Text>,
        app_id -> Nullable<Text>,
        icon_url -> Nullable<Text>,
        project_name -> Nullable<Text>,
        start_time -> Nullable<Timestamptz>,
        end_time -> Nullable<Timestamptz>,
        previous_id -> Nullable<Uuid>,
        payment_id -> Nullable<Uuid>,
        transaction_id -> Nullable<Uuid>,
        paid_at -> Nullable<Timestamptz>,
        next_step_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    deposits (account_id, block_hash, transaction_hash, address, asset, nth) {
        account_id -> BigInt,
        block_hash -> Text,
        log_index -> BigInt,
        chain_id -> BigInt,
        block_number -> BigInt,
        block_time -> Timestamptz,
        transaction_hash -> Text,
        asset -> Text,
        amount -> Numeric,
        sender -> Text,
        address -> Text,
        is_gone -> Bool,
        state -> Text,
        nth -> Integer,
    }
}

diesel::table! {
    invoices (account_id, id) {
        account_id -> BigInt,
        id -> Uuid,
        period -> Date,
        start_time -> Timestamptz,
        end_time -> Timestamptz,
        number -> Text,
        issued_at -> Timestamptz,
        customer -> Text,
        total_usd -> Nullable<Numeric>,
        groups -> Jsonb,
    }
}
