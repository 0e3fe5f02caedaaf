{# A view with parameters, as it stands after FROM. All that it has must be named:
     select * from {{ footfall_view('goals', source_id=quoted('shop'), period=quoted('week'), …) }}
   Values are SQL as they are; `quoted` makes a text of one. #}
{% macro footfall_view(name) -%}
{{ var('footfall_database') }}.{{ name }}({% for key, value in kwargs.items() %}{{ key }} = {{ value }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro quoted(text) -%}
'{{ text | string | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}
