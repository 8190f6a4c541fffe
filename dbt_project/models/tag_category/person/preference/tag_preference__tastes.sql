with bought as (
    select
        person_id,
        department,
        product_category,
        weight
    from {{ ref('int_categories_bought') }}
    where person_id is not null
    union all
    -- everybody, under the person null
    select
        cast(null as {{ dbt.type_bigint() }}) as person_id,
        department,
        product_category,
        weight
    from {{ ref('int_category_baselines') }}
),

categories as (
    select *
    from bought
    where
        product_category is not null
        and product_category not like 'COUPON%'
        and weight > 0
),

ways_of_eating as (
    select
        *,
        case
            when department in ('PRODUCE', 'NUTRITION', 'SALAD BAR') then 'fresh'
            when
                department in ('CHEF SHOPPE', 'RESTAURANT')
                or product_category in (
                    'CONVENIENT BRKFST/WHLSM SNACKS', 'DINNER MXS:DRY', 'FROZEN PIZZA',
                    'FRZN BREAKFAST FOODS', 'FRZN MEAT/MEAT DINNERS', 'FRZN POTATOES', 'HEAT/SERVE',
                    'PREPARED FOOD', 'SANDWICHES', 'SOUP', 'SUSHI'
                )
                then 'convenience'
            when
                department in ('MEAT', 'SEAFOOD')
                or product_category in (
                    'BAKING MIXES', 'BAKING NEEDS', 'BUTTER', 'DRY BN/VEG/POTATO/RICE',
                    'DRY NOODLES/PASTA', 'EGGS', 'FLOUR & MEALS', 'SHORTENING/OIL',
                    'SPICES & EXTRACTS', 'SUGARS/SWEETNERS'
                )
                then 'cooking'
        end as way_of_eating
    from categories
),

ways_of_person as (
    select
        person_id,
        sum(weight) as own_weight,
        sum(case when way_of_eating = 'fresh' then weight else 0 end) as fresh_weight,
        sum(case when way_of_eating = 'convenience' then weight else 0 end) as convenience_weight,
        sum(case when way_of_eating = 'cooking' then weight else 0 end) as cooking_weight
    from ways_of_eating
    group by person_id
),

ways_of_all as (
    -- no index of a way in which nobody ate: there is nothing to compare it with
    select
        max(own_weight) as whole_weight_of_all,
        nullif(max(fresh_weight), 0) as fresh_weight_of_all,
        nullif(max(convenience_weight), 0) as convenience_weight_of_all,
        nullif(max(cooking_weight), 0) as cooking_weight_of_all
    from ways_of_person
    where person_id is null
),

category_weights as (
    select
        product_category,
        sum(weight) as weight_of_all
    from categories
    where person_id is null
    group by product_category
),

tastes as (
    -- two fresh purchases at least show a taste; nobody wants to see in a mail that we know of their illness
    select
        person_id,
        product_category,
        sum(weight) as weight
    from categories
    where
        person_id is not null
        and product_category not in (
            'ADULT INCONTINENCE', 'ANTACIDS', 'CIGARETTES', 'CIGARS', 'FAMILY PLANNING',
            'FEMININE HYGIENE', 'LAXATIVES', 'LIQUOR', 'TOBACCO OTHER'
        )
    group by person_id, product_category
    having sum(weight) >= 2
),

indexed_tastes as (
    select
        tastes.*,
        {{ tagloom.preference_index(
            'tastes.weight', 'ways_of_person.own_weight',
            'category_weights.weight_of_all', 'ways_of_all.whole_weight_of_all', prior=20
        ) }} as category_index
    from tastes
    inner join ways_of_person on tastes.person_id = ways_of_person.person_id
    inner join category_weights on tastes.product_category = category_weights.product_category
    cross join ways_of_all
),

signatures as (
    select
        *,
        row_number() over (
            partition by person_id order by category_index desc, weight desc, product_category asc
        ) as place
    from indexed_tastes
    where category_index >= 60
),

signature_of_person as (
    select
        person_id,
        {{ tagloom.first_places_as_text('product_category', 'place', 1) }} as signature_category,
        max(category_index) as signature_category_index,
        {{ tagloom.first_places_as_text('product_category', 'place', 3) }} as signature_categories
    from signatures
    group by person_id
),

indexed_ways as (
    select
        ways_of_person.person_id,
        {{ tagloom.preference_index(
            'ways_of_person.fresh_weight', 'ways_of_person.own_weight',
            'ways_of_all.fresh_weight_of_all', 'ways_of_all.whole_weight_of_all', prior=20
        ) }} as fresh_food_index,
        {{ tagloom.preference_index(
            'ways_of_person.convenience_weight', 'ways_of_person.own_weight',
            'ways_of_all.convenience_weight_of_all', 'ways_of_all.whole_weight_of_all', prior=20
        ) }} as convenience_food_index,
        {{ tagloom.preference_index(
            'ways_of_person.cooking_weight', 'ways_of_person.own_weight',
            'ways_of_all.cooking_weight_of_all', 'ways_of_all.whole_weight_of_all', prior=20
        ) }} as home_cooking_index
    from ways_of_person
    cross join ways_of_all
    where ways_of_person.person_id is not null
),

best_ways as (
    select
        *,
        greatest(fresh_food_index, convenience_food_index, home_cooking_index) as best_index
    from indexed_ways
),

tagged as (
    select
        best_ways.person_id,
        signature_of_person.signature_category,
        signature_of_person.signature_category_index,
        signature_of_person.signature_categories,
        best_ways.fresh_food_index,
        best_ways.convenience_food_index,
        best_ways.home_cooking_index,
        case
            when coalesce(best_ways.best_index, 0) < 60 then 'mixed'
            when best_ways.fresh_food_index = best_ways.best_index then 'fresh'
            when best_ways.home_cooking_index = best_ways.best_index then 'cooking'
            else 'convenience'
        end as eating_style
    from best_ways
    left join signature_of_person on best_ways.person_id = signature_of_person.person_id
)

select * from tagged
