CREATE TABLE "billed_events" (
	"event_id" text NOT NULL,
	"decided_at" timestamp with time zone NOT NULL,
	"invoice_id" text NOT NULL,
	CONSTRAINT "billed_events_pk" PRIMARY KEY("event_id","decided_at")
);
--> statement-breakpoint
CREATE TABLE "invoice_lines" (
	"invoice_id" text NOT NULL,
	"line" integer NOT NULL,
	"kind" text NOT NULL,
	"description" text NOT NULL,
	"adjustment" boolean NOT NULL,
	"cycle_start" timestamp with time zone NOT NULL,
	"cycle_end" timestamp with time zone NOT NULL,
	"plan" text,
	"span_start" timestamp with time zone NOT NULL,
	"span_end" timestamp with time zone NOT NULL,
	"model" text,
	"model_names" jsonb,
	"token_type" text,
	"price_from" timestamp with time zone,
	"price_to" timestamp with time zone,
	"quantity" numeric NOT NULL,
	"unit" text NOT NULL,
	"unit_price" numeric NOT NULL,
	"per" integer NOT NULL,
	"exact_amount" numeric NOT NULL,
	"amount" numeric NOT NULL,
	CONSTRAINT "invoice_lines_pk" PRIMARY KEY("invoice_id","line")
);
--> statement-breakpoint
CREATE TABLE "invoice_numbers" (
	"issuer" text PRIMARY KEY NOT NULL,
	"last" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "invoice_states" (
	"invoice_id" text NOT NULL,
	"step" integer NOT NULL,
	"state" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"by" text NOT NULL,
	"reason" text,
	"reference" text,
	CONSTRAINT "invoice_states_pk" PRIMARY KEY("invoice_id","step")
);
--> statement-breakpoint
CREATE TABLE "invoices" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"issuer" text NOT NULL,
	"number" bigint NOT NULL,
	"tenant_id" text NOT NULL,
	"cycle_start" timestamp with time zone NOT NULL,
	"cycle_end" timestamp with time zone NOT NULL,
	"currency" text NOT NULL,
	"total" numeric NOT NULL,
	"credits" text,
	"reason" text,
	"document" text NOT NULL,
	"finalised_at" timestamp with time zone NOT NULL,
	CONSTRAINT "invoices_number" UNIQUE("issuer","number")
);
--> statement-breakpoint
ALTER TABLE "invoice_lines" ADD CONSTRAINT "invoice_lines_invoice_id_invoices_id_fk" FOREIGN KEY ("invoice_id") REFERENCES "public"."invoices"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "invoice_states" ADD CONSTRAINT "invoice_states_invoice_id_invoices_id_fk" FOREIGN KEY ("invoice_id") REFERENCES "public"."invoices"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "billed_events_invoice_id_index" ON "billed_events" USING btree ("invoice_id");--> statement-breakpoint
CREATE UNIQUE INDEX "invoices_cycle" ON "invoices" USING btree ("tenant_id","cycle_start") WHERE "invoices"."kind" = 'invoice';--> statement-breakpoint
CREATE INDEX "invoices_tenant_id_cycle_end_index" ON "invoices" USING btree ("tenant_id","cycle_end");--> statement-breakpoint
CREATE INDEX "invoices_credits_index" ON "invoices" USING btree ("credits");--> statement-breakpoint
CREATE FUNCTION "require"(ok boolean, otherwise text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF ok IS TRUE THEN RETURN true; END IF;
	RAISE EXCEPTION '%', otherwise USING ERRCODE = 'serialization_failure';
END
$$;--> statement-breakpoint
CREATE TRIGGER "invoices_refuse_change" BEFORE UPDATE OR DELETE OR TRUNCATE ON "invoices"
	FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
ALTER TABLE "invoices" ENABLE ALWAYS TRIGGER "invoices_refuse_change";--> statement-breakpoint
CREATE TRIGGER "invoice_lines_refuse_change" BEFORE UPDATE OR DELETE OR TRUNCATE ON "invoice_lines"
	FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
ALTER TABLE "invoice_lines" ENABLE ALWAYS TRIGGER "invoice_lines_refuse_change";--> statement-breakpoint
CREATE TRIGGER "billed_events_refuse_change" BEFORE UPDATE OR DELETE OR TRUNCATE ON "billed_events"
	FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
ALTER TABLE "billed_events" ENABLE ALWAYS TRIGGER "billed_events_refuse_change";--> statement-breakpoint
CREATE TRIGGER "invoice_states_refuse_change" BEFORE UPDATE OR DELETE OR TRUNCATE ON "invoice_states"
	FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
ALTER TABLE "invoice_states" ENABLE ALWAYS TRIGGER "invoice_states_refuse_change";
