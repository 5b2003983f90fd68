CREATE TABLE "delivery_targets" (
	"target" text PRIMARY KEY NOT NULL,
	"since" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "invoice_deliveries" (
	"invoice_id" text NOT NULL,
	"target" text NOT NULL,
	"state" text NOT NULL,
	"attempts" integer NOT NULL,
	"refusals" integer NOT NULL,
	"next_at" timestamp with time zone NOT NULL,
	"external_id" text,
	"last_error" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "invoice_deliveries_pk" PRIMARY KEY("invoice_id","target")
);
--> statement-breakpoint
CREATE TABLE "stripe_customers" (
	"tenant_id" text NOT NULL,
	"target" text NOT NULL,
	"customer" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "stripe_customers_pk" PRIMARY KEY("tenant_id","target")
);
--> statement-breakpoint
CREATE TABLE "stripe_events" (
	"id" text PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"invoice_id" text NOT NULL,
	"external_id" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE INDEX "invoice_deliveries_open" ON "invoice_deliveries" USING btree ("next_at") WHERE "invoice_deliveries"."state" <> 'delivered';--> statement-breakpoint
CREATE INDEX "invoice_deliveries_external_id_index" ON "invoice_deliveries" USING btree ("external_id");--> statement-breakpoint
CREATE INDEX "stripe_events_invoice_id_at_index" ON "stripe_events" USING btree ("invoice_id","at");