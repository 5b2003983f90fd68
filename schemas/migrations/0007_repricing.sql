CREATE TABLE "billed_adjustments" (
	"adjustment_id" text PRIMARY KEY NOT NULL,
	"invoice_id" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "invoice_adjustments" (
	"id" text PRIMARY KEY NOT NULL,
	"invoice_id" text NOT NULL,
	"step" integer NOT NULL,
	"tenant_id" text NOT NULL,
	"amount" numeric NOT NULL,
	"currency" text NOT NULL,
	"lines" jsonb NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"by" text NOT NULL,
	CONSTRAINT "invoice_adjustments_step" UNIQUE("invoice_id","step")
);
--> statement-breakpoint
CREATE INDEX "billed_adjustments_invoice_id_index" ON "billed_adjustments" USING btree ("invoice_id");--> statement-breakpoint
CREATE INDEX "invoice_adjustments_tenant_id_index" ON "invoice_adjustments" USING btree ("tenant_id");--> statement-breakpoint
CREATE TRIGGER "invoice_adjustments_refuse_change" BEFORE UPDATE OR DELETE OR TRUNCATE ON "invoice_adjustments"
	FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
ALTER TABLE "invoice_adjustments" ENABLE ALWAYS TRIGGER "invoice_adjustments_refuse_change";--> statement-breakpoint
CREATE TRIGGER "billed_adjustments_refuse_change" BEFORE UPDATE OR DELETE OR TRUNCATE ON "billed_adjustments"
	FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();--> statement-breakpoint
ALTER TABLE "billed_adjustments" ENABLE ALWAYS TRIGGER "billed_adjustments_refuse_change";
