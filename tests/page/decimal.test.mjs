// Run by node from test_files.py, beside a copy of the page's modules: its decimals are exact.

import assert from "node:assert/strict";
import test from "node:test";

import { units, text, fixed, shown, times, timesUp, over, downTo, placesOf, cut } from "./js/decimal.js";

test("a text is read in units of 1e-8", () => {
  assert.equal(units("0.1"), 10_000_000n);
  assert.equal(units("90000000000"), 9_000_000_000_000_000_000n);
  assert.equal(units("-0.00000001"), -1n);
  assert.equal(units(".5"), 50_000_000n);
  assert.equal(units("1."), 100_000_000n);
  assert.equal(units("1.1000000000"), 110_000_000n);
});

test("what is no such number is none", () => {
  for (const wrong of ["", "-", ".", "1e3", "1,000", "0x1", "NaN", "0.000000001", "1.2.3", null, undefined]) {
    assert.equal(units(wrong), null, String(wrong));
  }
});

test("what was read is written as it was", () => {
  for (const written of ["0", "0.1", "60000.25", "123456789.12345678", "-3.5", "1000"]) {
    assert.equal(text(units(written)), written);
  }
  assert.equal(text(units("0.10") + units("0.20")), "0.3", "a float says 0.30000000000000004");
});

test("prices times quantities, and back", () => {
  assert.equal(text(times(units("60000.01"), units("0.0003"))), "18.000003");
  assert.equal(text(timesUp(units("0.00000001"), units("0.001"))), "0.00000001");
  assert.equal(text(over(units("18.000003"), units("0.0003"))), "60000.01");
  assert.equal(over(5n, 0n), 0n);
  assert.equal(text(downTo(units("0.12349"), units("0.0001"))), "0.1234");
});

test("for people", () => {
  assert.equal(shown("1234567.5", 2), "1,234,567.50");
  assert.equal(shown("-0.5"), "−0.5");
  assert.equal(shown(null), "–");
  assert.equal(shown("60000.123456789012", 2), "60,000.12");
  assert.equal(fixed(units("-0.001"), 2), "0.00");
  assert.equal(placesOf("0.0001"), 4);
  assert.equal(placesOf("1"), 0);
  assert.equal(cut("0.0000000151234567"), "0.00000001");
});
