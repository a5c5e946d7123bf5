import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite'

/** What may be bound: nothing that SQLite would take for NULL or for a number it is not. */
export type Bound = string | number | Uint8Array

/** A row: the values of its columns in their order. */
export type Row = readonly SQLOutputValue[]

/** A prepared statement that binds only what it was made for. */
export interface Statement {
  get (...values: readonly Bound[]): Row | undefined
  all (...values: readonly Bound[]): Row[]
  run (...values: readonly Bound[]): void
}

/**
 * Prepares a statement. Every call refuses (TypeError) a wrong count of values and whatever is not
 * text, bytes or a whole number: `node:sqlite` binds NULL for a missing argument, for `{}` and for
 * NaN, and 1 for true, so that an expiry could become "never" (SEC-378).
 */
export function prepare (db: DatabaseSync, sql: string): Statement {
  const statement = db.prepare(sql)
  const count = sql.split('?').length - 1
  // A row as an object costs half as much again; the types know of objects only.
  statement.setReturnArrays(true)
  return {
    get: (...values) => statement.get(...bound(values, count)) as unknown as Row | undefined,
    all: (...values) => statement.all(...bound(values, count)) as unknown as Row[],
    run: (...values) => { statement.run(...bound(values, count)) }
  }
}

function bound (values: readonly Bound[], count: number): SQLInputValue[] {
  if (values.length !== count) throw new TypeError('wrong number of values for a statement')
  for (const value of values) {
    if (typeof value === 'string' || Number.isSafeInteger(value)) continue
    if (value instanceof Uint8Array) continue
    throw new TypeError('a statement takes text, bytes and whole numbers')
  }
  return values as SQLInputValue[]
}
