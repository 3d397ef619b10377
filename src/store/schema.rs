// @generated automatically by Diesel CLI.

diesel::table! {
    accepted_futures (account_id) {
        account_id -> Int8,
        until -> Timestamptz,
        reason -> Text,
        accepted_at -> Timestamptz,
    }
}

diesel::table! {
    account_suspensions (account_id, from_time, to_time) {
        account_id -> Int8,
        from_time -> Timestamptz,
        to_time -> Timestamptz,
    }
}

diesel::table! {
    account_zones (time_zone) {
        time_zone -> Text,
    }
}

diesel::table! {
    accounts (id) {
        id -> Int8,
        namespace -> Text,
        external_id -> Nullable<Text>,
        name -> Text,
        kind -> Text,
        parent_id -> Nullable<Int8>,
        status -> Text,
        currency -> Text,
        time_zone -> Text,
        manager_name -> Nullable<Text>,
        manager_email -> Nullable<Text>,
        credit_limit -> Nullable<Numeric>,
        balance -> Numeric,
        overdrawn -> Bool,
        purchased -> Bool,
        last_no -> Int8,
        last_entry_seq -> Int8,
        last_entry_hash -> Nullable<Bytea>,
        last_entry_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        suspension -> Nullable<Text>,
        closed_until -> Nullable<Timestamptz>,
        closed_at -> Nullable<Timestamptz>,
        burst_cycle -> Nullable<Int4>,
        burst_rate -> Nullable<Numeric>,
        burst_warned -> Bool,
        suspended_at -> Nullable<Timestamptz>,
        suspension_held_until -> Nullable<Timestamptz>,
        on_demand_rate -> Numeric,
        seal -> Nullable<Bytea>,
        erased_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    approvals (account_id, id) {
        account_id -> Int8,
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
        seal -> Nullable<Bytea>,
    }
}

diesel::table! {
    billing_horizon (only_row) {
        only_row -> Bool,
        closed_before -> Timestamptz,
    }
}

diesel::table! {
    billing_pages (period, time_zone, after_account) {
        period -> Date,
        time_zone -> Text,
        after_account -> Int8,
        last_account -> Int8,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    billing_runs (period, time_zone) {
        period -> Date,
        time_zone -> Text,
        start_time -> Timestamptz,
        end_time -> Timestamptz,
        state -> Text,
        total -> Int8,
        done -> Int8,
        failed -> Int8,
        last_account -> Int8,
        started_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    bills (account_id, id) {
        account_id -> Int8,
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
        seq -> Int4,
        seq_count -> Int4,
        due_at -> Timestamptz,
        last_paid_at -> Nullable<Timestamptz>,
        paid_by -> Nullable<Uuid>,
        datacenter -> Nullable<Text>,
        created_at -> Timestamptz,
        refunded_amount -> Numeric,
        next_step_at -> Nullable<Timestamptz>,
        correction_of -> Nullable<Uuid>,
        credited_amount -> Nullable<Numeric>,
        replaced_amount -> Nullable<Numeric>,
        withheld_amount -> Nullable<Numeric>,
        seal -> Nullable<Bytea>,
    }
}

diesel::table! {
    burst_capacities (id) {
        id -> Int8,
        resource_code -> Text,
        capacity -> Numeric,
        curve -> Jsonb,
        effective_from -> Timestamptz,
    }
}

diesel::table! {
    burst_levels (resource_code, cycle) {
        resource_code -> Text,
        cycle -> Int4,
        level -> Int4,
        used -> Numeric,
    }
}

diesel::table! {
    burst_owed (account_id, cycle) {
        account_id -> Int8,
        cycle -> Int4,
        beyond -> Jsonb,
    }
}

diesel::table! {
    burst_progress (only_row) {
        only_row -> Bool,
        next_cycle -> Int4,
    }
}

diesel::table! {
    burst_used (resource_code, cycle) {
        resource_code -> Text,
        cycle -> Int4,
        used -> Numeric,
    }
}

diesel::table! {
    cell (only_row) {
        only_row -> Bool,
        number -> Int2,
        installation -> Uuid,
        catalogue -> Int8,
        accounts -> Int8,
        joined_at -> Timestamptz,
        departures -> Int8,
    }
}

diesel::table! {
    cells (number) {
        number -> Int2,
        joined_at -> Timestamptz,
    }
}

diesel::table! {
    chain_blocks (chain_id, number) {
        chain_id -> Int8,
        number -> Int8,
        hash -> Text,
    }
}

diesel::table! {
    chains (chain_id) {
        chain_id -> Int8,
        begin_after -> Int8,
        scans -> Int8,
        tokens -> Array<Nullable<Text>>,
    }
}

diesel::table! {
    closed_months (account_id, start_time) {
        account_id -> Int8,
        start_time -> Timestamptz,
        end_time -> Timestamptz,
        period -> Date,
        revision -> Int4,
        usage_version -> Int8,
        bill_id -> Nullable<Uuid>,
        usage_amount -> Numeric,
        amount -> Numeric,
        billed_amount -> Numeric,
        closed_at -> Timestamptz,
        withheld_amount -> Numeric,
        forgiven_amount -> Numeric,
        unrated -> Jsonb,
        seal -> Nullable<Bytea>,
    }
}

diesel::table! {
    code_labels (list, code) {
        list -> Text,
        code -> Text,
        position -> Int4,
        zh -> Text,
        en -> Text,
    }
}

diesel::table! {
    currency_scales (code) {
        code -> Text,
        display_scale -> Int4,
        ledger_scale -> Int4,
    }
}

diesel::table! {
    departures (account_id) {
        account_id -> Int8,
        cell -> Int2,
        state -> Text,
        since -> Timestamptz,
    }
}

diesel::table! {
    deposit_addresses (place) {
        place -> Int8,
        address -> Text,
        account_id -> Int8,
        reserved_at -> Timestamptz,
    }
}

diesel::table! {
    deposits (account_id, block_hash, transaction_hash, address, asset, nth) {
        account_id -> Int8,
        block_hash -> Text,
        log_index -> Int8,
        chain_id -> Int8,
        block_number -> Int8,
        block_time -> Timestamptz,
        transaction_hash -> Text,
        asset -> Text,
        amount -> Numeric,
        sender -> Text,
        address -> Text,
        is_gone -> Bool,
        state -> Text,
        nth -> Int4,
    }
}

diesel::table! {
    erased_entries (account_id, id) {
        account_id -> Int8,
        id -> Uuid,
        seal -> Bytea,
    }
}

diesel::table! {
    erasures (account_id) {
        account_id -> Int8,
        reason -> Text,
        erased_by -> Text,
        erased_at -> Timestamptz,
        stage -> Text,
        after_id -> Nullable<Uuid>,
        next_step_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    exchange_rates (id) {
        id -> Int8,
        base -> Text,
        quote -> Text,
        rate -> Numeric,
        source -> Text,
        observed_at -> Timestamptz,
    }
}

diesel::table! {
    gauge_slots (slot) {
        slot -> Timestamptz,
    }
}

diesel::table! {
    given_up_namespaces (digest) {
        digest -> Bytea,
    }
}

diesel::table! {
    idempotency_keys (account_id, key) {
        account_id -> Int8,
        key -> Text,
        mutation -> Text,
        fingerprint -> Bytea,
        transaction_id -> Nullable<Uuid>,
        order_id -> Nullable<Uuid>,
        bill_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        price_rule_ids -> Nullable<Array<Nullable<Int8>>>,
        payment_id -> Nullable<Uuid>,
        prepayment_id -> Nullable<Uuid>,
        approval_id -> Nullable<Uuid>,
        seal -> Nullable<Bytea>,
        created -> Nullable<Jsonb>,
    }
}

diesel::table! {
    installation (only_row) {
        only_row -> Bool,
        kind -> Text,
        noted_at -> Timestamptz,
    }
}

diesel::table! {
    invoice_counters (year) {
        year -> Int4,
        last -> Int8,
    }
}

diesel::table! {
    invoices (account_id, id) {
        account_id -> Int8,
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

diesel::table! {
    late_usage (account_id, day) {
        account_id -> Int8,
        day -> Date,
        batch -> Int8,
        due_at -> Timestamptz,
    }
}

diesel::table! {
    leases (name) {
        name -> Text,
        holder -> Text,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    ledger_anchor_heads (account_id, anchor) {
        account_id -> Int8,
        anchor -> Int8,
        seq -> Int8,
        hash -> Bytea,
        balance -> Numeric,
    }
}

diesel::table! {
    ledger_anchor_pages (anchor, page) {
        anchor -> Int8,
        page -> Int4,
        first_account -> Int8,
        last_account -> Int8,
        leaves -> Int8,
        root -> Bytea,
    }
}

diesel::table! {
    ledger_anchors (number) {
        number -> Int8,
        at -> Timestamptz,
        accounts -> Int8,
        root -> Bytea,
        previous -> Nullable<Bytea>,
        public_key -> Bytea,
        signature -> Bytea,
    }
}

diesel::table! {
    ledger_check_position (only_row) {
        only_row -> Bool,
        last_account_id -> Int8,
        checked_to -> Int8,
        round_began_at -> Nullable<Timestamptz>,
        round_ended_at -> Nullable<Timestamptz>,
        all_sealed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    ledger_checkpoints (account_id) {
        account_id -> Int8,
        seq -> Int8,
        hash -> Bytea,
        noted_at -> Timestamptz,
        seal -> Bytea,
    }
}

diesel::table! {
    ledger_entries (account_id, id) {
        account_id -> Int8,
        id -> Uuid,
        seq -> Int8,
        time -> Timestamptz,
        poll_time -> Nullable<Timestamptz>,
        currency -> Text,
        amount -> Numeric,
        initial -> Numeric,
        end -> Numeric,
        reason -> Text,
        billing_cycle -> Nullable<Int4>,
        interval -> Nullable<Int4>,
        resource_code -> Nullable<Text>,
        resource_amount -> Numeric,
        hash -> Bytea,
        key_version -> Int2,
    }
}

diesel::table! {
    ledger_faults (account_id, kind, message) {
        account_id -> Int8,
        kind -> Text,
        message -> Text,
        found_at -> Timestamptz,
    }
}

diesel::table! {
    licenses (id) {
        id -> Int8,
        resource_code -> Text,
        long_name -> Text,
        #[sql_name = "type"]
        type_ -> Text,
        user_metric -> Text,
        burstable -> Bool,
        burst_since -> Nullable<Timestamptz>,
        burst_until -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    metered_records (account_id, id) {
        account_id -> Int8,
        id -> Uuid,
        bill_id -> Uuid,
        order_id -> Nullable<Uuid>,
        resource_type -> Text,
        product_name -> Text,
        datacenter -> Nullable<Text>,
        start_time -> Timestamptz,
        end_time -> Timestamptz,
        currency -> Text,
        price -> Numeric,
        lines -> Jsonb,
        created_at -> Timestamptz,
        seal -> Nullable<Bytea>,
    }
}

diesel::table! {
    namespaces (namespace) {
        namespace -> Text,
        account_id -> Int8,
    }
}

diesel::table! {
    notices (account_id, id) {
        account_id -> Int8,
        id -> Uuid,
        kind -> Text,
        message -> Text,
        subject -> Nullable<Text>,
        at -> Timestamptz,
        acknowledged_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    open_invoices (account_id, start_time) {
        account_id -> Int8,
        start_time -> Timestamptz,
        end_time -> Nullable<Timestamptz>,
        due_at -> Timestamptz,
        told -> Bool,
    }
}

diesel::table! {
    operator_moves (account_id, id) {
        account_id -> Int8,
        id -> Uuid,
        moved_by -> Text,
        currency -> Text,
        amount -> Numeric,
    }
}

diesel::table! {
    orders (account_id, id) {
        account_id -> Int8,
        id -> Uuid,
        number -> Text,
        name -> Text,
        #[sql_name = "type"]
        type_ -> Text,
        state -> Text,
        previous_id -> Nullable<Uuid>,
        plan_id -> Nullable<Uuid>,
        exclusive -> Bool,
        quantity -> Int4,
        region -> Nullable<Text>,
        datacenter -> Nullable<Text>,
        resource_type -> Text,
        product_name -> Text,
        bill_period -> Text,
        currency -> Text,
        price -> Numeric,
        once_price -> Nullable<Numeric>,
        seq -> Int4,
        seq_count -> Int4,
        auto_renewal -> Bool,
        comment -> Nullable<Text>,
        created_at -> Timestamptz,
        delivered_at -> Nullable<Timestamptz>,
        expires_at -> Nullable<Timestamptz>,
        anchor_at -> Nullable<Timestamptz>,
        anchor_months -> Int4,
        renewed_by -> Nullable<Uuid>,
        next_step_at -> Nullable<Timestamptz>,
        resource_code -> Nullable<Text>,
        resource_amount -> Nullable<Numeric>,
        term_months -> Nullable<Int4>,
        cancelled_at -> Nullable<Timestamptz>,
        seal -> Nullable<Bytea>,
    }
}

diesel::table! {
    payment_methods (account_id, id) {
        account_id -> Int8,
        id -> Uuid,
        provider -> Text,
        provider_token -> Text,
        brand -> Text,
        last4 -> Text,
        expires_on -> Date,
        removed_at -> Nullable<Timestamptz>,
        provider_customer -> Nullable<Text>,
    }
}

diesel::table! {
    payments (account_id, id) {
        account_id -> Int8,
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
        attempts -> Int4,
        next_step_at -> Nullable<Timestamptz>,
        seal -> Nullable<Bytea>,
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
    plans (id) {
        id -> Uuid,
        name -> Text,
        #[sql_name = "type"]
        type_ -> Text,
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
    prepay_quotes (account_id, id) {
        account_id -> Int8,
        id -> Uuid,
        currency -> Text,
        amount -> Numeric,
        usd -> Numeric,
        months -> Int4,
        cluster_id -> Text,
        chart_name -> Text,
        cpu_limit -> Int4,
        mem_limit -> Int4,
        storage_limit -> Int4,
        rate_id -> Nullable<Int8>,
        steps -> Jsonb,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    prepayments (account_id, id) {
        account_id -> Int8,
        id -> Uuid,
        status -> Text,
        quote_id -> Uuid,
        method_id -> Nullable<Uuid>,
        currency -> Text,
        amount -> Numeric,
        usd -> Numeric,
        months -> Int4,
        cluster_id -> Text,
        chart_name -> Text,
        cpu_limit -> Int4,
        mem_limit -> Int4,
        storage_limit -> Int4,
        auto_renewal -> Bool,
        deposit_address -> Nullable<Text>,
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
        deposit_again_until -> Nullable<Timestamptz>,
        seal -> Nullable<Bytea>,
    }
}

diesel::table! {
    price_definitions (id) {
        id -> Int8,
        kind -> Text,
        #[sql_name = "type"]
        type_ -> Text,
        description -> Text,
        currency -> Nullable<Text>,
        terms -> Jsonb,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    price_rules (id) {
        id -> Int8,
        account_id -> Nullable<Int8>,
        definition_id -> Int8,
        effective_from -> Timestamptz,
        effective_until -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        created_by -> Text,
    }
}

diesel::table! {
    product_names (name) {
        name -> Text,
    }
}

diesel::table! {
    reconciliations (provider) {
        provider -> Text,
        next_at -> Timestamptz,
        held_until -> Timestamptz,
        own_from -> Timestamptz,
    }
}

diesel::table! {
    refused_keys (account_id, key) {
        account_id -> Int8,
        key -> Text,
        refused_at -> Timestamptz,
    }
}

diesel::table! {
    resource_prices (id) {
        id -> Int8,
        resource_code -> Text,
        currency -> Text,
        level -> Int4,
        price -> Numeric,
        unit -> Text,
        multiplier -> Numeric,
        effective_from -> Timestamptz,
        cluster_id -> Nullable<Text>,
        chart_name -> Nullable<Text>,
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
    restorations (restored_at) {
        restored_at -> Timestamptz,
        first_account -> Int8,
    }
}

diesel::table! {
    reversals (account_id, provider, reference) {
        account_id -> Int8,
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
        seal -> Nullable<Bytea>,
    }
}

diesel::table! {
    sandbox_clock (only_row) {
        only_row -> Bool,
        offset_micros -> Int8,
    }
}

diesel::table! {
    seal_keys (version) {
        version -> Int2,
        mark -> Bytea,
        noted_at -> Timestamptz,
    }
}

diesel::table! {
    term_discounts (months) {
        months -> Int4,
        period -> Text,
        value -> Numeric,
    }
}

diesel::table! {
    transactions (account_id, id) {
        account_id -> Int8,
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
        seal -> Nullable<Bytea>,
    }
}

diesel::table! {
    unmatched_payments (provider, reference) {
        provider -> Text,
        reference -> Text,
        kind -> Text,
        payment_id -> Uuid,
        account_id -> Nullable<Int8>,
        currency -> Text,
        amount -> Numeric,
        status -> Text,
        why -> Text,
        seen_at -> Timestamptz,
        told -> Bool,
    }
}

diesel::table! {
    usage_events_kept (only_row) {
        only_row -> Bool,
        since -> Date,
    }
}

diesel::table! {
    usage_hours (account_id, hour, resource_code, subject) {
        account_id -> Int8,
        resource_code -> Text,
        hour -> Timestamptz,
        subject -> Text,
        quantity -> Numeric,
        version -> Int8,
    }
}

diesel::table! {
    usage_marks (account_id, event_id) {
        account_id -> Int8,
        event_id -> Text,
        payload -> Int8,
        bucket -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    usage_samples (account_id, slot, resource_code, subject) {
        account_id -> Int8,
        resource_code -> Text,
        slot -> Timestamptz,
        subject -> Text,
        quantity -> Numeric,
        reported_at -> Timestamptz,
        version -> Int8,
    }
}

diesel::table! {
    voided_events (account_id, event_id) {
        account_id -> Int8,
        event_id -> Text,
        resource_code -> Text,
        quantity -> Numeric,
        time -> Timestamptz,
        subject -> Nullable<Text>,
        datacenter -> Nullable<Text>,
        attributes -> Nullable<Jsonb>,
        received_at -> Timestamptz,
        bucket -> Timestamptz,
        idempotency_key -> Text,
        reason -> Text,
        voided_by -> Text,
        voided_at -> Timestamptz,
    }
}

diesel::joinable!(burst_capacities -> resources (resource_code));
diesel::joinable!(burst_levels -> resources (resource_code));
diesel::joinable!(licenses -> resources (resource_code));
diesel::joinable!(plan_resources -> plans (plan_id));
diesel::joinable!(plan_resources -> resources (resource_code));
diesel::joinable!(prepay_quotes -> exchange_rates (rate_id));
diesel::joinable!(price_rules -> price_definitions (definition_id));
diesel::joinable!(resource_prices -> resources (resource_code));
