import type { Token } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { tokenKey } from '../core/lineage.ts'
import type { Entry, Key, Put, Stamp } from '../core/store.ts'

/** The stored form of a token: what listing and burying it need besides the token. */
export interface TokenRecord extends Token {
  readonly names: readonly string[]
  /** Where its chosen id leads from. */
  readonly chosenKey: Key | null
}

/** The token record that an entry holds. */
export function readTokenRecord (entry: Entry): TokenRecord {
  return decodeRecord<TokenRecord>(entry.value)
}

/** Writes a token record, due at its expiry. */
export function putTokenRecord (record: TokenRecord, expect: Stamp | 'absent'): Put {
  return {
    op: 'put',
    key: tokenKey(record.accessor),
    value: encodeRecord(record),
    expect,
    names: record.names,
    ...(record.expiresAtMs !== null && record.kind !== 'kept' && { dueAtMs: record.expiresAtMs }),
    ...(record.usesMax > 0 && { usesMax: record.usesMax })
  }
}

/** Whether a token's time is not up. */
export function isUnexpired (token: Pick<Token, 'expiresAtMs'>, nowMs: number): boolean {
  return token.expiresAtMs === null || nowMs < token.expiresAtMs
}
