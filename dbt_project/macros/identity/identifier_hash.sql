{% macro identifier_hash(identifier_type, column) -%}
    {#- HMAC-SHA-256 (RFC 2104) of '<type>:<normalised value>' as 64 hexadecimal digits; null for null. -#}
    {{ return(adapter.dispatch('identifier_hash', 'tagloom')(identifier_type, column)) }}
{%- endmacro %}

{% macro default__identifier_hash(identifier_type, column) -%}
    sha256(
        getvariable('identity_key_outer')
        || unhex(sha256(getvariable('identity_key_inner') || encode('{{ identifier_type }}:' || {{ column }})))
    )
{%- endmacro %}

{% macro spark__identifier_hash(identifier_type, column) -%}
    sha2(
        concat(
            unhex('${tagloom.identity_key_outer}'),
            unhex(sha2(
                concat(unhex('${tagloom.identity_key_inner}'), encode(concat('{{ identifier_type }}:', {{ column }}), 'UTF-8')),
                256
            ))
        ),
        256
    )
{%- endmacro %}
