-- An index artifact's table, empty. Vectors stay in their rows, as exact scans and the build read them all; so does most
-- text: only rows that would leave half a page empty are compressed and cut.
CREATE TABLE {table} WITH (toast_tuple_target = 4080) AS {source} WITH NO DATA;
ALTER TABLE {table}
    ALTER embedding SET STORAGE MAIN,
    -- No query is planned by what stands in these.
    ALTER embedding SET STATISTICS 0, ALTER document SET STATISTICS 0, ALTER title SET STATISTICS 0,
    ALTER url_path SET STATISTICS 0, ALTER text_hash SET STATISTICS 0, ALTER content_hash SET STATISTICS 0,
    ALTER document_source SET STATISTICS 0, ALTER summary_model SET STATISTICS 0,
    ALTER prompt_version SET STATISTICS 0, ALTER vector_run_id SET STATISTICS 0;
