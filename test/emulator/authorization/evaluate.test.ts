import t from 'tap'
import { parsePolicyDocument } from '../../../src/emulator/authorization/document.ts'
import { decide, type DecisionRequest } from '../../../src/emulator/authorization/evaluate.ts'
import { contextOf, policyOf } from './policies.ts'

const everything = policyOf('identity', { Effect: 'Allow', Action: '*', Resource: '*' })
const s3Only = policyOf('identity', { Effect: 'Allow', Action: 's3:*', Resource: '*' })
const noS3 = policyOf('identity', { Effect: 'Deny', Action: 's3:*', Resource: '*' })

function ask (request: Partial<DecisionRequest>): ReturnType<typeof decide> {
  return decide({
    action: 's3:GetObject',
    resource: 'arn:aws:s3:::bucket/red/file',
    context: contextOf({}),
    identity: [everything],
    boundary: null,
    session: null,
    ...request
  })
}

const allowed = { allowed: true, explicitDenyBy: null, missing: null }

function covers (statement: object, request: Partial<DecisionRequest> = {}): boolean {
  return ask({ identity: [policyOf('identity', { Effect: 'Allow', Action: '*', Resource: '*', ...statement })], ...request }).allowed
}

t.test('what no policy allows is denied', async (t) => {
  t.match(ask({ identity: [] }), { allowed: false, explicitDenyBy: null, missing: 'identity' })
  t.match(ask({}), allowed)
})

t.test('an explicit deny wins wherever it stands', async (t) => {
  t.match(ask({ identity: [everything, noS3] }), { allowed: false, explicitDenyBy: 'identity', missing: null })
  t.match(ask({ boundary: [everything, noS3] }), { allowed: false, explicitDenyBy: 'boundary' })
  t.match(ask({ session: [noS3, everything] }), { allowed: false, explicitDenyBy: 'session' })
  t.match(ask({ resourcePolicy: { effect: 'deny', names: null, sameAccount: true } }), { allowed: false, explicitDenyBy: 'resource' })
  t.match(ask({ identity: [], session: [noS3] }), { explicitDenyBy: 'session' }, 'also where nothing allows')
})

t.test('identity, boundary and session policies must each allow', async (t) => {
  t.match(ask({ boundary: [s3Only], session: [s3Only] }), allowed)
  t.match(ask({ action: 'ec2:RunInstances', boundary: [s3Only] }), { allowed: false, missing: 'boundary' })
  t.match(ask({ action: 'ec2:RunInstances', session: [s3Only] }), { allowed: false, missing: 'session' })
  t.match(ask({ identity: [], boundary: [everything], session: [everything] }), { allowed: false, missing: 'identity' }, 'they add nothing')
  t.match(ask({ session: [] }), { allowed: false, missing: 'session' }, 'an empty list allows nothing')
})

t.test('several session policies are united before they limit', async (t) => {
  const ec2Only = policyOf('session', { Effect: 'Allow', Action: 'ec2:*', Resource: '*' })
  t.match(ask({ action: 'ec2:RunInstances', session: [s3Only, ec2Only] }), allowed)
})

t.test('a trust policy that names the caller says which other policies it needs', async (t) => {
  const trust = (names: NonNullable<DecisionRequest['resourcePolicy']>['names'], sameAccount: boolean, rest: Partial<DecisionRequest> = {}) =>
    ask({ action: 'sts:AssumeRole', identity: [], resourcePolicy: { effect: 'allow', names, sameAccount }, ...rest })
  t.match(trust('role', true), allowed, 'a role of the same account needs no identity policy')
  t.match(trust('role', true, { boundary: [s3Only] }), { missing: 'boundary' }, 'but its boundary limits it')
  t.match(trust('role', true, { session: [s3Only] }), { missing: 'session' })
  for (const names of ['session', 'user', 'everyone'] as const) {
    t.match(trust(names, true, { boundary: [s3Only], session: [s3Only] }), allowed, `${names}: what others leave out does not limit it`)
    t.match(trust(names, true, { session: [policyOf('session', { Effect: 'Deny', Action: '*', Resource: '*' })] }), { explicitDenyBy: 'session' })
    t.match(trust(names, false), { missing: 'identity' }, `${names}: across accounts both sides must allow`)
  }
  t.match(trust('account', true), { missing: 'identity' }, 'an account only delegates')
  t.match(trust('account', true, { identity: [everything] }), allowed)
  t.match(trust('role', false, { identity: [everything] }), allowed)
  t.match(ask({ resourcePolicy: { effect: 'none', names: null, sameAccount: true } }), { allowed: false, missing: 'resource' })
})

t.test('actions match in any case, with wildcards', async (t) => {
  t.ok(covers({ Action: 'S3:getobject' }))
  t.ok(covers({ Action: 's3:Get*' }))
  t.ok(covers({ Action: ['ec2:*', 's3:?etObject'] }))
  t.notOk(covers({ Action: 's3:Get' }))
  t.notOk(covers({ Action: 's3:GetObject*Tagging' }))
})

t.test('NotAction and NotResource cover all but what they list', async (t) => {
  const notAction = { Version: '2012-10-17', Statement: { Effect: 'Allow', NotAction: ['ec2:*', 'iam:*'], Resource: '*' } }
  const identity = [parsePolicyDocument(JSON.stringify(notAction), 'identity')]
  t.ok(ask({ identity }).allowed)
  t.notOk(ask({ identity, action: 'IAM:GetUser' }).allowed)
  const notResource = { Version: '2012-10-17', Statement: { Effect: 'Deny', Action: '*', NotResource: 'arn:aws:s3:::bucket/*' } }
  const deny = parsePolicyDocument(JSON.stringify(notResource), 'identity')
  t.ok(ask({ identity: [everything, deny] }).allowed)
  t.equal(ask({ identity: [everything, deny], resource: 'arn:aws:s3:::other/x' }).explicitDenyBy, 'identity')
})

t.test('resources match part by part; a wildcard does not leave its part', async (t) => {
  t.ok(covers({ Resource: 'arn:aws:s3:::bucket/*' }))
  t.ok(covers({ Resource: 'arn:aws:s3:::b*/file' }))
  t.ok(covers({ Resource: 'arn:*:s3:*:*:bucket/???/file' }))
  t.ok(covers({ Resource: 'arn:aws:s3' }), 'parts left out are anything')
  t.notOk(covers({ Resource: 'arn:aws:s3:::bucket' }))
  t.notOk(covers({ Resource: 'arn:aws:ec2:*:*:*' }))
  const topic = { action: 'sns:Publish', resource: 'arn:aws:sns:eu-west-1:111111111111:a:b' }
  t.ok(covers({ Resource: 'arn:aws:sns:*:111111111111:a:*' }, topic))
  t.notOk(covers({ Resource: 'arn:aws:sns:*:a:b' }, topic), 'the account may not be skipped')
  t.notOk(covers({ Resource: 'arn:aws:s3:::*' }, { resource: '*' }), 'an action on no resource needs `*`')
})

t.test('variables in a resource are replaced after the fifth colon only', async (t) => {
  const context = contextOf({ 'aws:username': 'red', 'aws:wild': '*' })
  t.ok(covers({ Resource: 'arn:aws:s3:::bucket/${aws:username}/*' }, { context }))
  t.notOk(covers({ Resource: 'arn:aws:s3:::bucket/${aws:wild}/*' }, { context }), 'a value is never a wildcard')
  t.notOk(covers({ Resource: 'arn:aws:s3:::bucket/${aws:userid}/*' }, { context }))
  t.ok(covers({ Resource: 'arn:aws:s3:::bucket/${aws:userid, \'red\'}/*' }, { context }))
  t.notOk(covers({ Resource: 'arn:aws:sns::${aws:username}:topic' }, { context, resource: 'arn:aws:sns::red:topic' }))
})

t.test('documents older than 2012-10-17 know no variables', async (t) => {
  const old = parsePolicyDocument(JSON.stringify({
    Version: '2008-10-17',
    Statement: { Effect: 'Allow', Action: '*', Resource: 'arn:aws:s3:::${aws:username}' }
  }), 'session')
  const context = contextOf({ 'aws:username': 'bucket' })
  t.notOk(ask({ session: [old], resource: 'arn:aws:s3:::bucket', context }).allowed)
  t.ok(ask({ session: [old], resource: 'arn:aws:s3:::${aws:username}', context }).allowed)
})

t.test('a deny of one session in a boundary spares the others and grants nothing', async (t) => {
  const ceiling = policyOf('identity',
    { Effect: 'Allow', Action: '*', Resource: '*' },
    { Effect: 'Deny', Action: '*', Resource: '*', Condition: { StringEquals: { 'aws:userid': ['AROAX:run-1'] } } },
    { Effect: 'Deny', Action: '*', Resource: '*', Condition: { DateLessThan: { 'aws:TokenIssueTime': '2026-01-01T00:00:00Z' } } })
  const session = (userid: string, issued: string, identity = [everything]) => ask({
    identity, boundary: [ceiling], context: contextOf({ 'aws:userid': userid, 'aws:TokenIssueTime': issued })
  })
  t.match(session('AROAX:run-1', '2026-02-01T00:00:00Z'), { explicitDenyBy: 'boundary' })
  t.match(session('AROAX:run-2', '2026-02-01T00:00:00Z'), allowed)
  t.match(session('AROAX:run-2', '2025-12-31T23:59:59Z'), { explicitDenyBy: 'boundary' })
  t.match(session('AROAX:run-2', '2026-02-01T00:00:00Z', []), { missing: 'identity' })
})

t.test('a session policy bound to aws:CurrentTime ends the session early', async (t) => {
  const until = policyOf('session', {
    Effect: 'Allow', Action: '*', Resource: '*', Condition: { DateLessThan: { 'aws:CurrentTime': '2026-01-01T00:05:00Z' } }
  })
  const at = (now: string) => ask({ session: [until], context: contextOf({ 'aws:CurrentTime': now }) })
  t.match(at('2026-01-01T00:04:59Z'), allowed)
  t.match(at('2026-01-01T00:05:00Z'), { allowed: false, missing: 'session' })
})
