CREATE TABLE "api_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"partition" integer NOT NULL,
	"revision" bigint NOT NULL,
	"digest" text NOT NULL,
	"name" text,
	"tenant_id" text NOT NULL,
	"team_id" text,
	"user_id" text,
	"created_at" timestamp with time zone NOT NULL,
	"created_by" text NOT NULL,
	"expires_at" timestamp with time zone,
	"rotated_from" text,
	"rotated_to" text,
	"revoked_at" timestamp with time zone,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_events" (
	"id" text PRIMARY KEY NOT NULL,
	"action" text NOT NULL,
	"actor" text NOT NULL,
	"source_ip" text,
	"tenant_id" text,
	"target" text,
	"reason" text,
	"api_keys" jsonb,
	"at" timestamp with time zone NOT NULL,
	"stream_id" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE INDEX "api_keys_partition_id_index" ON "api_keys" USING btree ("partition","id");--> statement-breakpoint
CREATE INDEX "audit_events_at_id_index" ON "audit_events" USING btree ("at","id");--> statement-breakpoint
CREATE INDEX "audit_events_tenant_id_at_id_index" ON "audit_events" USING btree ("tenant_id","at","id");--> statement-breakpoint
CREATE INDEX "audit_events_actor_at_id_index" ON "audit_events" USING btree ("actor","at","id");--> statement-breakpoint
CREATE INDEX "audit_events_action_at_id_index" ON "audit_events" USING btree ("action","at","id");--> statement-breakpoint
CREATE INDEX "audit_events_target_at_id_index" ON "audit_events" USING btree ("target","at","id");--> statement-breakpoint
CREATE INDEX "audit_events_api_keys_index" ON "audit_events" USING gin ("api_keys" jsonb_path_ops);--> statement-breakpoint
CREATE INDEX "usage_events_denied" ON "usage_events" USING btree ("at","id") WHERE "usage_events"."type" = 'denied';--> statement-breakpoint
CREATE INDEX "usage_events_denied_tenant" ON "usage_events" USING btree ("tenant_id","at","id") WHERE "usage_events"."type" = 'denied';--> statement-breakpoint
CREATE INDEX "usage_events_denied_user" ON "usage_events" USING btree ("user_id","at","id") WHERE "usage_events"."type" = 'denied' and "usage_events"."user_id" is not null;--> statement-breakpoint
CREATE INDEX "usage_events_denied_credential" ON "usage_events" USING btree ("credential_id","at","id") WHERE "usage_events"."type" = 'denied' and "usage_events"."credential_id" is not null;--> statement-breakpoint
CREATE INDEX "usage_events_budget_grants" ON "usage_events" USING btree ("at","id") WHERE "usage_events"."budget_grant" is not null;--> statement-breakpoint
CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '% is never changed: % is refused', TG_TABLE_NAME, TG_OP
		USING ERRCODE = 'insufficient_privilege', HINT = 'docs/audit.md says how old rows are removed';
END
$$;--> statement-breakpoint
CREATE TRIGGER "audit_events_refuse_change" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_events"
	FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
ALTER TABLE "audit_events" ENABLE ALWAYS TRIGGER "audit_events_refuse_change";
