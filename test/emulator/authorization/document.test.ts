import t from 'tap'
import { parsePolicyDocument, PolicyError, type PolicyKind } from '../../../src/emulator/authorization/document.ts'

const allow = { Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::bucket/*' }
const trust = { Effect: 'Allow', Principal: { AWS: '111111111111' }, Action: 'sts:AssumeRole' }

function refusal (document: unknown, kind: PolicyKind): string | null {
  try {
    parsePolicyDocument(typeof document === 'string' ? document : JSON.stringify(document), kind)
    return null
  } catch (error) {
    if (error instanceof PolicyError) return error.message
    throw error
  }
}

function refusals (test: Pick<typeof t, 'equal'>, kind: PolicyKind, cases: readonly (readonly [unknown, string | null])[]): void {
  for (const [statement, expected] of cases) {
    const document = { Version: '2012-10-17', Statement: statement }
    test.equal(refusal(document, kind), expected, JSON.stringify(statement))
  }
}

t.test('a permissions policy is refused in the words of IAM', async (t) => {
  const syntax = 'Syntax errors in policy.'
  for (const text of ['', 'This is not a json document', '[]', 'null', '"x"', '{', '{}']) {
    t.equal(refusal(text, 'identity'), syntax, text)
  }
  const version = 'Policy document must be version 2012-10-17 or greater.'
  t.equal(refusal({ Statement: allow }, 'identity'), version)
  t.equal(refusal({ Version: '2008-10-17', Statement: allow }, 'identity'), version)
  t.equal(refusal({ Version: '2013-10-17', Statement: allow }, 'identity'), syntax)
  t.equal(refusal({ Version: '2012-10-17', Id: {}, Statement: allow }, 'identity'), syntax)
  t.equal(refusal({ Version: '2012-10-17', Statement: allow, Extra: 1 }, 'identity'), syntax)
  refusals(t, 'identity', [
    [[], syntax], [['afd'], syntax], [{ ...allow, Extra: 'value' }, syntax],
    [{ ...allow, Effect: 'invalid' }, syntax], [{ Action: 's3:*', Resource: '*' }, syntax],
    [{ ...allow, Effect: 'denY' }, 'The policy failed legacy parsing'],
    [{ Effect: 'Allow', Resource: '*' }, 'Policy statement must contain actions.'],
    [{ ...allow, Action: [] }, 'Policy statement must contain actions.'],
    [{ Effect: 'Allow', Action: 's3:*' }, 'Policy statement must contain resources.'],
    [{ ...allow, Resource: [] }, 'Policy statement must contain resources.'],
    [{ ...allow, NotAction: 's3:*' }, syntax], [{ ...allow, NotResource: '*' }, syntax],
    [{ ...allow, Action: {} }, syntax], [{ ...allow, Action: [[]] }, syntax], [{ ...allow, Resource: ['*', {}] }, syntax],
    [{ ...allow, Principal: '*' }, 'Policy document should not specify a principal.'],
    [{ ...allow, NotPrincipal: { AWS: '*' } }, 'Policy document should not specify a principal.'],
    [{ ...allow, Sid: [] }, syntax],
    [{ ...allow, Sid: 'a b' }, 'Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*'],
    [[{ ...allow, Sid: 'a' }, { ...allow, Sid: 'a' }], 'Statement IDs (SID) in a single policy must be unique.']
  ])
})

t.test('an action is refused unless it is `*` or one service and one name', async (t) => {
  const prefaced = 'Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.'
  refusals(t, 'identity', [
    [{ ...allow, Action: '*' }, null], [{ ...allow, Action: ['s3:Get*', 'EC2:Describe?pcs'] }, null],
    [{ ...allow, Action: 'invalid' }, prefaced], [{ ...allow, Action: '' }, prefaced],
    [{ ...allow, Action: 'a a:ListBucket' }, 'Vendor a a is not valid'],
    [{ ...allow, Action: 's3:List:Bucket' }, 'Actions/Condition can contain only one colon.']
  ])
})

t.test('a resource is refused unless it is `*` or an ARN that names its service', async (t) => {
  const regexes = 'Resource vendor must be fully qualified and cannot contain regexes.'
  const paths = 'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.'
  refusals(t, 'identity', ([
    ['*', null], ['arn:aws:s3:::bucket', null], ['arn:*:s3:::*', null], ['arn:aws:s3', null],
    ['arn:aws:iam::111111111111:role/x', null], ['arn:aws:iam::*:*', null], ['arn:aws:iam::*:r*', null],
    ['arn:aws:iam::*:user/${aws:username}', null], ['arn:aws:iam::111111111111:root', null],
    ['', 'Resource  must be in ARN format or "*".'], ['adf', 'Resource adf must be in ARN format or "*".'],
    ['a:b:cadfsdf', 'Partition "b" is not valid for resource "arn:b:cadfsdf:*:*:*".'],
    ['aws:s3:::example_bucket', 'Partition "s3" is not valid for resource "arn:s3:::example_bucket:*".'],
    ['arn:aws', regexes], ['arn:aws:*:::x', regexes], ['arn:aws:s3*', regexes],
    ['arn:aws:s3::example_bucket', 'The policy failed legacy parsing'],
    ['arn:aws::::example_bucket', 'The policy failed legacy parsing'],
    ['arn:aws:iam:::example_bucket', paths],
    ['arn:aws:iam:us-east-1::x', 'IAM resource arn:aws:iam:us-east-1::x cannot contain region information.'],
    ['arn:aws:s3:us-east-1::x', 'Resource arn:aws:s3:us-east-1::x can not contain region information.']
  ] as const).map(([resource, expected]) => [{ ...allow, Resource: resource }, expected]))
})

t.test('a condition is refused unless operator, key and values have their form', async (t) => {
  const syntax = 'Syntax errors in policy.'
  refusals(t, 'identity', ([
    [{}, null], [{ x: {} }, null], [{ DateGreaterThan: { a: [] } }, null],
    [{ StringEqualsIfExists: { a: 'b' } }, null], [{ 'ForAnyValue:StringLikeIfExists': { a: ['b', 'c'] } }, null],
    [{ NumericEquals: { a: 5 }, Bool: { b: true } }, null], [{ Null: { a: 'true' } }, null],
    [[], syntax], ['a', syntax], [{ StringEquals: 'b' }, syntax], [{ StringEquals: [] }, syntax],
    [{ StringEquals: { a: {} } }, syntax], [{ StringEquals: { a: [['b']] } }, syntax], [{ StringEquals: { a: null } }, syntax],
    [{ x: { a: '1' } }, syntax], [{ 'ForAnyValue::StringEquals': { a: 'b' } }, syntax],
    [{ 'ForSomeValues:StringEquals': { a: 'b' } }, syntax], [{ NullIfExists: { a: 'true' } }, syntax],
    [{ StringEqualsIfExistsIfExists: { a: 'b' } }, syntax], [{ constructor: { a: 'b' } }, syntax],
    [{ DateLessThan: { a: '234-13' } }, 'The policy failed legacy parsing'],
    [{ DateLessThan: { a: '2016-12-13T02:00:00+1' } }, 'The policy failed legacy parsing'],
    [{ DateLessThan: { a: '2023-02-30T00:00:00Z' } }, 'The policy failed legacy parsing']
  ] as const).map(([condition, expected]) => [{ ...allow, Condition: condition }, expected]))
})

t.test('a key that stands twice in one object is refused wherever it is', async (t) => {
  const statement = '{"Effect":"Allow","Action":"*","Resource":"*"%}'
  const document = (inside: string): string => `{"Version":"2012-10-17","Statement":${statement.replace('%', inside)}}`
  t.equal(refusal(document(''), 'identity'), null)
  t.equal(refusal(document(',"Effect":"Deny"'), 'identity'), 'Syntax errors in policy.')
  t.equal(refusal(document(',"\\u0045ffect":"Deny"'), 'identity'), 'Syntax errors in policy.', 'escaped')
  t.equal(refusal(document(',"Condition":{"Bool":{"a":"true"},"Bool":{"a":"false"}}'), 'identity'), 'Syntax errors in policy.')
  t.equal(refusal(document(',"Condition":{"Bool":{"a":"true"},"Null":{"a":"false"}}'), 'identity'), null, 'not the same object')
  t.equal(refusal(document(',"Sid":"Effect"'), 'identity'), null, 'a value is no key')
})

t.test('a trust policy is refused in the words of IAM', async (t) => {
  t.equal(refusal('not json', 'trust'), 'This policy contains invalid Json')
  t.equal(refusal({ Version: '2013-10-17', Statement: trust }, 'trust'), 'The policy must contain a valid version string')
  t.equal(refusal({ Version: '2008-10-17', Statement: trust }, 'trust'), null)
  t.equal(refusal({ Statement: [trust] }, 'trust'), null)
  t.equal(refusal({ Statement: [] }, 'trust'), 'Could not parse the policy: Statement is empty!')
  const onlySts = 'AssumeRole policy may only specify STS AssumeRole actions.'
  refusals(t, 'trust', [
    [{ ...trust, Resource: '*' }, 'Has prohibited field Resource'],
    [{ ...trust, NotResource: '*' }, 'AssumeRole policy must not contain resources.'],
    [{ ...trust, Effect: 'Deny', NotPrincipal: { AWS: '*' } }, 'AssumeRole policy must not contain NotPrincipal field.'],
    [{ Effect: 'Allow', Action: 'sts:AssumeRole' }, 'Missing required field Principal'],
    [{ Principal: '*', Action: 'sts:AssumeRole' }, 'Missing required field Effect'],
    [{ Effect: 'Allow', Principal: '*' }, 'Missing required field Action'],
    [{ ...trust, Principal: {} }, 'Missing required field Principal cannot be empty!'],
    [{ ...trust, Principal: 'x' }, 'Principal must be a JSON object.'],
    [{ ...trust, Extra: 1 }, 'Unknown field Extra'], [{ ...trust, Effect: 'Maybe' }, 'Invalid effect: Maybe'],
    [{ ...trust, Action: '*' }, onlySts], [{ ...trust, Action: ['sts:AssumeRole', 's3:GetObject'] }, onlySts],
    [{ ...trust, Action: ['sts:AssumeRole', 'sts:TagSession'] }, null], [{ ...trust, Principal: '*' }, null],
    [[{ ...trust, Sid: 'a' }, { ...trust, Sid: 'a' }], 'The Statement Ids in the policy are not unique'],
    [{ ...trust, Condition: { StringEqual: { 'sts:ExternalId': 'x' } } }, 'Invalid Condition type : StringEqual']
  ])
})

t.test('a principal is refused unless it names one account, user, role, session, provider or service', async (t) => {
  const principal = (type: string, value: unknown): string | null =>
    refusal({ Statement: { ...trust, Principal: { [type]: value } } }, 'trust')
  for (const value of [
    '*', '111111111111', 'arn:aws:iam::111111111111:root', 'arn:aws:iam::111111111111:role/team/Ops',
    'arn:aws-cn:iam::111111111111:user/ann', 'arn:aws:sts::111111111111:assumed-role/Ops/run',
    'arn:aws:sts::111111111111:federated-user/fay', 'AROAABCDEFGHIJKLMNOPQ'
  ]) t.equal(principal('AWS', value), null, value)
  for (const value of [
    '', '1111', 'ann', 'arn:aws:iam::111111111111:role/*', 'arn:aws:iam::*:root', 'arn:aws:iam::111111111111:group/g',
    'arn:aws:sts::111111111111:assumed-role/Ops', 'arn:aws:iam::111111111111:role/', 'arn:aws:s3:::bucket'
  ]) t.equal(principal('AWS', value), `Invalid principal in policy: "AWS":"${value}"`)
  t.equal(principal('Service', ['ec2.amazonaws.com', 'ecs-tasks.amazonaws.com']), null)
  t.equal(principal('Service', 'ec2'), 'Invalid principal in policy: "SERVICE":"ec2"')
  t.equal(principal('Service', '*'), 'Invalid principal in policy: "SERVICE":"*"')
  t.equal(principal('Federated', 'arn:aws:iam::111111111111:oidc-provider/issuer.example.com/path'), null)
  t.equal(principal('Federated', 'accounts.google.com'), null)
  t.equal(principal('Federated', '*'), 'Invalid principal in policy: "FEDERATED":"*"')
  t.equal(principal('Robot', 'x'), 'Invalid principal in policy: "Robot"')
  t.equal(principal('AWS', [1]), 'Syntax errors in policy.')
})

t.test('a session policy is read like a permissions policy and may leave out the version', async (t) => {
  t.equal(refusal({ Statement: allow }, 'session'), null)
  t.equal(refusal('{', 'session'), 'This policy contains invalid Json')
  t.equal(refusal({ Statement: { ...allow, Principal: '*' } }, 'session'), 'Has prohibited field Principal')
  t.equal(refusal({ Statement: { Effect: 'Allow', Action: 's3:*' } }, 'session'), 'Missing required field Resource')
})

t.test('a refusal carries the code that goes on the wire', async (t) => {
  t.match(t.throws(() => parsePolicyDocument('', 'identity')), { code: 'MalformedPolicyDocument' })
})
