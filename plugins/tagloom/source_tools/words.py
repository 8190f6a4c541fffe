"""Words and shapes by which `source infer` recognises what a column holds; only hints, people have the last word."""

from __future__ import annotations

import re

EMAIL, PHONE, DEVICE, DOCUMENT = "email", "phone", "device_mac", "national_id"

SHAPES = {
    EMAIL: re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}"),
    DEVICE: re.compile(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}|([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}"),
    PHONE: re.compile(r"\+[0-9][0-9 ().-]{6,18}[0-9]|1[3-9][0-9]{9}|\(?[2-9][0-9]{2}\)?[ .-][0-9]{3}[ .-]?[0-9]{4}"),
    DOCUMENT: re.compile(r"[1-9][0-9]{5}(19|20)[0-9]{2}[01][0-9][0-3][0-9][0-9]{3}[0-9Xx]|[0-9]{3}-[0-9]{2}-[0-9]{4}"),
}
"""Identifier type -> what its values look like, whatever the column is called: e-mail addresses, network addresses of
devices, international, Chinese and North American phone numbers, Chinese and United States identity numbers."""

SHAPE_TITLES = {
    EMAIL: "e-mail addresses",
    PHONE: "phone numbers",
    DEVICE: "network addresses of devices",
    DOCUMENT: "numbers of identity documents",
}


def _words(text: str) -> frozenset[str]:
    return frozenset(word.replace("_", " ") for word in text.split())


DIRECT = {
    "an e-mail address": _words("email mail e_mail 邮箱 邮件"),
    "a phone number": _words("phone mobile tel telephone cell msisdn fax 手机 电话"),
    "a person's name": _words(
        "surname forename firstname lastname fullname nickname given_name family_name first_name last_name middle_name "
        "full_name customer_name contact_name holder_name member_name 姓名 客户名 昵称"
    ),
    "an address": _words("address street addr suburb 地址 住址 街道"),
    "a day of birth": _words("birth birthday dob birthdate 生日 出生"),
    "an identity document": _words("passport ssn national_id id_card 身份证 证件"),
}
"""What tells who or where a person is -> words of a column's name."""

INDIRECT = {
    "a number that leads to a person": _words(
        "customer account user member card device mac imei idfa cookie visitor openid unionid requester subscriber ip "
        "plate 会员 卡号 账号 用户 客户 设备 车牌"
    ),
    "a place that narrows down who it is": _words("postcode zip zipcode postal latitude longitude 邮编"),
}
"""What leads to a person -> words of a column's name."""

CODES = _words(
    "id number no code card phone mobile tel zip postcode sku ean barcode 账号 卡号 编号 单号 号码 手机 邮编 条码"
)
"""Words of a name whose digits are no quantity: nobody adds them up, and leading zeros count."""

MOMENTS = (
    *("occurred", "happened", "event", "sold", "ordered", "created", "opened", "registered", "updated", "changed"),
    *("time", "timestamp", "datetime", "at", "date", "on"),
)
"""Words of a name that say when a row was true, the most telling first."""

OPERATIONS = (
    frozenset({"i", "u", "d"}),
    frozenset({"c", "u", "d"}),
    frozenset({"c", "u", "d", "r"}),
    frozenset({"insert", "update", "delete"}),
    frozenset({"create", "update", "delete"}),
    frozenset({"upsert", "delete"}),
)
"""Ways in which change data say what was done to a row, in lower case."""

_CHINESE = """
手机号码=phone 手机号=phone 手机=phone 电话=phone 邮箱=email 姓名=full_name 昵称=nickname 性别=gender 年龄=age
生日=birthday 出生日期=date_of_birth 身份证号=national_id 地址=address 城市=city 省份=province 邮编=postcode
会员卡号=card_number 卡号=card_number 会员号=member_number 会员=member 客户=customer 用户=user 账号=account
设备=device 门店=store 店铺=shop 商品=product 品牌=brand 类别=category 订单号=order_number 订单=order 数量=quantity
单价=unit_price 价格=price 金额=amount 折扣=discount 费用=fee 支付=payment 入场=entry 出场=exit 进入=entry
离开=exit 停车=parking 车牌=plate 车票=ticket 票号=ticket_number 创建=created 更新=updated 修改=changed
开始=start 结束=end
日期=date 时间=time 编号=number 单号=number 号=number 编码=code 名称=name 类型=type 状态=status 渠道=channel
备注=note 是否=is
"""

CHINESE = dict(pair.split("=") for pair in _CHINESE.split())
"""Common words of Chinese headers; the longest first, they make a name out of a header."""
