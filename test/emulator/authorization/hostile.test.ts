import t from 'tap'
import { parsePolicyDocument, PolicyError, type PolicyDocument, type PolicyKind } from '../../../src/emulator/authorization/document.ts'
import { decide } from '../../../src/emulator/authorization/evaluate.ts'
import { globOf, matchesGlob } from '../../../src/emulator/authorization/glob.ts'
import { judgeTrust, renderDocument } from '../../../src/emulator/authorization/trust.ts'
import { contextOf, policyOf } from './policies.ts'

const kinds: readonly PolicyKind[] = ['identity', 'trust', 'session']
const pieces = [
  'Version', '2012-10-17', 'Statement', 'Effect', 'Allow', 'Deny', 'Action', 'NotAction', 'Resource', 'NotResource', 'Principal',
  'NotPrincipal', 'Condition', 'StringLike', 'ForAnyValue:StringEquals', 'DateLessThan', 'IpAddress', 'ArnLike', 'Null', 'aws:userid',
  '${aws:username}', '${x, \'y\'}', '${', '}', '*', '?', ':', 'arn:aws:s3:::b', 'sts:AssumeRole', 'AWS', '111111111111', '__proto__',
  'constructor', 'toString', '\u0000', '\ud800', '2026-99-99', '10.0.0.0/99', '::/0', '-', '1e999', ''
]

/** Numbers that look random and are the same in every run. */
function createSequence (seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor(state / 0x1_0000_0000 * limit)
  }
}

function randomValue (below: (limit: number) => number, depth: number): unknown {
  const piece = (): string => pieces[below(pieces.length)] ?? ''
  const choice = below(depth > 4 ? 4 : 8)
  if (choice < 3) return piece()
  if (choice === 3) return [null, true, 5, -0.5, {}, []][below(6)]
  if (choice === 4) return Array.from({ length: below(4) }, () => randomValue(below, depth + 1))
  return Object.fromEntries(Array.from({ length: below(6) }, () => [piece(), randomValue(below, depth + 1)]))
}

function mutated (below: (limit: number) => number, value: unknown): unknown {
  if (below(12) === 0) return randomValue(below, 2)
  if (Array.isArray(value)) return value.map((item) => mutated(below, item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) =>
    [below(25) === 0 ? pieces[below(pieces.length)] : key, mutated(below, inner)]))
}

const whole = {
  Version: '2012-10-17',
  Statement: [{
    Sid: 'a',
    Effect: 'Allow',
    Action: ['s3:*', 'ec2:Run?nstances'],
    Resource: ['arn:aws:s3:::b/${aws:username}', '*'],
    Condition: { StringLike: { 'aws:userid': ['a*', '${aws:x, \'y\'}'] }, 'ForAllValues:StringNotEquals': { 'aws:TagKeys': 'x' }, IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }
  }]
}
const wholeTrust = {
  Version: '2012-10-17',
  Statement: { Effect: 'Allow', Principal: { AWS: ['111111111111', '*'] }, Action: 'sts:AssumeRole', Condition: { StringEquals: { 'sts:ExternalId': 'x' } } }
}

function tryParse (text: string, kind: PolicyKind): PolicyDocument | null {
  try {
    return parsePolicyDocument(text, kind)
  } catch (error) {
    if (error instanceof PolicyError) return null
    throw error
  }
}

function use (document: PolicyDocument): void {
  const context = contextOf({ 'aws:userid': 'AROA:x', 'aws:username': '${aws:username}', 'aws:SourceIp': '10.0.0.1', 'aws:TagKeys': ['a', ''] })
  if (document.kind === 'trust') {
    const principal = { kind: 'user', accountId: '111111111111', arn: 'arn:aws:iam::111111111111:user/a' } as const
    judgeTrust({ action: 'sts:AssumeRole', document, principal, context })
    renderDocument(document, () => null)
  } else {
    decide({ action: 's3:GetObject', resource: 'arn:aws:s3:::b/k', context, identity: [document], boundary: [document], session: [document] })
  }
}

t.test('whatever is sent as a policy is either a policy or refused with PolicyError', async (t) => {
  const below = createSequence(20261121)
  const taken = { identity: 0, trust: 0, session: 0 }
  for (let round = 0; round < 20_000; round++) {
    const kind = kinds[below(3)] ?? 'identity'
    const start = kind === 'trust' ? wholeTrust : whole
    const value = below(4) === 0 ? randomValue(below, 0) : mutated(below, start)
    const text = JSON.stringify(value) ?? ''
    const cut = below(5) === 0 ? text.slice(0, below(text.length + 1)) + (pieces[below(pieces.length)] ?? '') : text
    const document = tryParse(cut, kind)
    if (document === null) continue
    taken[kind]++
    use(document)
  }
  for (const kind of kinds) t.ok(taken[kind] > 100, `${kind}: ${taken[kind]} of the documents were well formed`)
})

t.test('deep nesting is refused and does not exhaust the stack', async (t) => {
  for (const [open, close] of [['[', ']'], ['{"Statement":', '}']] as const) {
    const text = `${open.repeat(20_000)}1${close.repeat(20_000)}`
    for (const kind of kinds) t.equal(tryParse(text, kind), null)
  }
})

t.test('a value as long as a request allows is compared like any other', async (t) => {
  const long = 'a"\\'.repeat(131_072 / 3)
  const document = policyOf('identity', {
    Effect: 'Allow', Action: '*', Resource: '*', Condition: { StringLike: { 'aws:x': [long, '${aws:y}*'] } }
  })
  const allowed = (x: string): boolean => decide({
    action: 'a:b', resource: '*', context: contextOf({ 'aws:x': x, 'aws:y': `${long}b` }), identity: [document], boundary: null, session: null
  }).allowed
  t.ok(allowed(long))
  t.ok(allowed(`${long}bc`))
  t.notOk(allowed(`${long}c`))
})

t.test('names of JavaScript itself are only names', async (t) => {
  const text = '{"Version":"2012-10-17","__proto__":{"Statement":[]},"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
  t.equal(tryParse(text, 'identity'), null)
  const condition = { Effect: 'Allow', Action: '*', Resource: '*', Condition: { StringEquals: { constructor: 'x', toString: 'y' } } }
  const document = policyOf('identity', condition)
  t.notOk(decide({ action: 'a:b', resource: '*', context: new Map(), identity: [document], boundary: null, session: null }).allowed)
})

t.test('a pattern made to be slow costs no more than its length times the text', async (t) => {
  const text = 'a'.repeat(2000)
  for (const pattern of ['*a'.repeat(1000) + 'b', `${'a*'.repeat(500)}?b`, `*${'a'.repeat(1000)}b`, '?*'.repeat(1000) + 'b']) {
    const glob = globOf(pattern, true)
    let steps = 0
    const counted = new Proxy(glob, {
      get: (target, key) => {
        steps++
        return Reflect.get(target, key)
      }
    })
    t.equal(matchesGlob(counted, text), false)
    t.ok(steps <= 2 * (text.length + 1) * (pattern.length + 1), `${steps} steps`)
  }
})
