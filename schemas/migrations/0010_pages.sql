CREATE TABLE "page_links" (
	"digest" text PRIMARY KEY NOT NULL,
	"tenant_id" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"used_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "page_sessions" (
	"digest" text PRIMARY KEY NOT NULL,
	"tenant_id" text,
	"opened_with" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "page_links_expires_at_index" ON "page_links" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "page_sessions_expires_at_index" ON "page_sessions" USING btree ("expires_at");