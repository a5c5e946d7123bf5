import { parsePolicyDocument, type PolicyDocument, type PolicyKind } from '../../../src/emulator/authorization/document.ts'
import type { RequestContext } from '../../../src/emulator/authorization/context.ts'

/** A policy of these statements, as AWS would store it. */
export function policyOf (kind: PolicyKind, ...statements: object[]): PolicyDocument {
  return parsePolicyDocument(JSON.stringify({ Version: '2012-10-17', Statement: statements }), kind)
}

/** A request's condition keys, written as they stand in AWS's documents. */
export function contextOf (keys: Readonly<Record<string, string | readonly string[]>>): RequestContext {
  return new Map(Object.entries(keys)
    .map(([key, value]) => [key.toLowerCase(), typeof value === 'string' ? [value] : value]))
}
