import { AwsError } from './aws-error.ts'
import type { Operations } from './call.ts'
import { escapeXml, renderXml } from './http/tree.ts'
import type { Judge } from './judge.ts'
import { translated, type Service } from './service.ts'

const style = { item: 'member', milliseconds: true }

const expired = new AwsError(400, 'ExpiredToken', 'The provided token has expired.')
const foreignToken = new AwsError(400, 'InvalidToken', 'The provided token is malformed or otherwise invalid.')
const unknownKey = new AwsError(403, 'InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.')
const mismatch = new AwsError(403, 'SignatureDoesNotMatch', 'The request signature we calculated does not match the signature you provided. Check your key and signing method.')
const skewed = new AwsError(403, 'RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.')
const unsigned = new AwsError(403, 'AccessDenied', 'Access Denied')

/** Amazon S3: ListBuckets. There are no objects. */
export function createS3 (judge: Judge): Service {
  const operations: Operations = {
    ListBuckets (call) {
      const { account } = call.caller
      judge.authorize(call, 's3:ListAllMyBuckets', '*')
      return {
        result: {
          Owner: { ID: account.id.padEnd(64, '0'), DisplayName: account.alias ?? account.id },
          Buckets: {
            itemName: 'Bucket',
            items: account.buckets.map((name) => ({ Name: name, CreationDate: new Date(Date.UTC(2026, 0, 1)) }))
          }
        }
      }
    }
  }
  return {
    name: 's3',
    version: null,
    eventSource: 's3.amazonaws.com',
    operations,
    actionOf: ({ method, path }) => method === 'GET' && path === '/' ? 'ListBuckets' : '',
    unknownAction: () =>
      new AwsError(501, 'NotImplemented', 'A header you provided implies functionality that is not implemented'),
    throttled: new AwsError(503, 'SlowDown', 'Please reduce your request rate.'),
    renderResult: (_action, result) => xml(200,
      `<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${renderXml(result, style)}</ListAllMyBucketsResult>`),
    renderError (error, requestId) {
      const { status, code, message } = translated(error, {
        expired, token: foreignToken, 'unknown-key': unknownKey, mismatch, skew: skewed, unsigned
      })
      return xml(status, `<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message><RequestId>${requestId}</RequestId></Error>`)
    }
  }
}

function xml (status: number, text: string) {
  return { status, contentType: 'application/xml', text: `<?xml version="1.0" encoding="UTF-8"?>\n${text}` }
}
