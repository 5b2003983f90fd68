CREATE TABLE "usage_months_dropped" (
	"month" text NOT NULL,
	"dropped_at" timestamp with time zone DEFAULT now() NOT NULL
);
