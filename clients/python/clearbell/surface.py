"""The methods of both clients: each is a function of `calls`, and the client decides whether one waits for it."""

from .calls import account as _account
from .calls import market as _market
from .calls import orders as _orders
from .calls import staff as _staff
from .calls.call import method, pages


class Calls:
    """What a trader can ask. Lists come in pages; `each_...` goes through all of them."""

    markets = method(_market.markets)
    market = method(_market.market)
    assets = method(_market.assets)
    depth = method(_market.depth)
    trades = method(_market.trades)
    each_trade = pages(_market.trades)
    klines = method(_market.klines)
    ticker = method(_market.ticker)
    tickers = method(_market.tickers)
    time = method(_market.time)
    info = method(_market.info)
    fees = method(_market.fees)

    place = method(_orders.place)
    place_many = method(_orders.place_many)
    place_oco = method(_orders.place_oco)
    preview = method(_orders.preview)
    replace = method(_orders.replace)
    amend = method(_orders.amend)
    order = method(_orders.order)
    order_of_client = method(_orders.order_of_client)
    orders = method(_orders.orders)
    each_order = pages(_orders.orders)
    fills = method(_orders.fills)
    each_fill = pages(_orders.fills)
    fills_of = method(_orders.fills_of)
    timeline = method(_orders.timeline)
    queue_place = method(_orders.queue_place)
    cancel = method(_orders.cancel)
    cancel_of_client = method(_orders.cancel_of_client)
    cancel_many = method(_orders.cancel_many)
    cancel_all = method(_orders.cancel_all)
    cancel_all_after = method(_orders.cancel_all_after)

    register = method(_account.register)
    me = method(_account.me)
    change_me = method(_account.change_me)
    change_password = method(_account.change_password)
    close_account = method(_account.close_account)
    sign_out = method(_account.sign_out)
    account = method(_account.account)
    balances = method(_account.balances)
    balance = method(_account.balance)
    ledger = method(_account.ledger)
    each_entry = pages(_account.ledger)
    positions = method(_account.positions)
    keys = method(_account.keys)
    make_key = method(_account.make_key)
    revoke_key = method(_account.revoke_key)
    ticket = method(_account.ticket)


class StaffCalls:
    """What an operator's script can ask."""

    user = method(_staff.user)
    kill = method(_staff.kill)
    lift = method(_staff.lift)
    limits = method(_staff.limits)
    change_limits = method(_staff.change_limits)
    balances_of = method(_staff.balances_of)
    ledger_of = method(_staff.ledger_of)
    each_entry_of = pages(_staff.ledger_of)
    transfer = method(_staff.transfer)
    pay_out_fees = method(_staff.pay_out_fees)
    approvals = method(_staff.approvals)
    approve = method(_staff.approve)
    refuse = method(_staff.refuse)
    open_market = method(_staff.open_market)
    change_market = method(_staff.change_market)
    place_for = method(_staff.place_for)
    cancel_all_of = method(_staff.cancel_all_of)
    stream_stats = method(_staff.stream_stats)
    cache_stats = method(_staff.cache_stats)
    missed = method(_staff.missed)
