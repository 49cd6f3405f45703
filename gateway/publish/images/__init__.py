"""The path of content that is kept by its digest and named afterwards (OCI): deposits, evidence, holds, releases."""
