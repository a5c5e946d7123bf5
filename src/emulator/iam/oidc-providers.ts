import { AwsError, invalid, noSuchEntity } from '../aws-error.ts'
import type { Call, Operations } from '../call.ts'
import { readTexts } from '../http/params.ts'
import { requestTagKeys, resourceTagKeys } from '../request-context.ts'
import type { OidcProvider } from '../state/records.ts'
import { createProblems, type Problems } from '../validation.ts'
import { mergeTags, readTags, rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import { alreadyExists, tagList, type Subject } from './subject.ts'
import { authorizeTags, type TaggedKind } from './tags.ts'

/** OpenID Connect providers as things with tags. */
export const taggedProviders: TaggedKind<OidcProvider> = {
  word: 'OpenIDConnectProvider',
  read: readSubject,
  require: requireProvider,
  save: (account, changed) => account.oidcProviders.put(hostOf(changed.url), changed),
  keys: (record) => record === null ? {} : resourceTagKeys('iam', record.tags)
}

/** CreateOpenIDConnectProvider and what reads and removes it; its keys are fetched from loopback issuers only. */
export function createOidcProviderOperations ({ judge }: IamParts): Operations {
  return {
    CreateOpenIDConnectProvider (call) {
      const { params, caller: { account }, nowMs } = call
      const problems = createProblems()
      const url = problems.required(params, 'Url', rules.url)
      const tags = readTags(params, problems)
      problems.throwIfAny()
      if (!/^https?:\/\/[^\s?#]+$/.test(url)) throw invalid('Invalid Open ID Connect Provider URL')
      const host = hostOf(url)
      const arn = `arn:aws:iam::${account.id}:oidc-provider/${host}`
      judge.authorize(call, 'iam:CreateOpenIDConnectProvider', arn, requestTagKeys(tags))
      authorizeTags(judge, call, 'iam:TagOpenIDConnectProvider', arn, tags)
      if (account.oidcProviders.find(host) !== null) throw alreadyExists(`Provider with url ${url} already exists.`)
      account.oidcProviders.put(host, {
        arn,
        url,
        clientIds: readTexts(params, 'ClientIDList.member'),
        thumbprints: readTexts(params, 'ThumbprintList.member'),
        createdAtMs: nowMs,
        jwks: null,
        tags: mergeTags(new Map(), tags)
      })
      return { result: { OpenIDConnectProviderArn: arn, Tags: tagList(new Map(tags)) } }
    },

    GetOpenIDConnectProvider (call) {
      const subject = readProvider(call)
      judge.authorize(call, 'iam:GetOpenIDConnectProvider', subject.arn)
      const { url, clientIds, thumbprints, createdAtMs, tags } = requireProvider(subject)
      return {
        result: {
          Url: hostOf(url),
          ClientIDList: clientIds,
          ThumbprintList: thumbprints,
          CreateDate: new Date(createdAtMs),
          Tags: tagList(tags)
        }
      }
    },

    ListOpenIDConnectProviders (call) {
      const { account } = call.caller
      judge.authorize(call, 'iam:ListOpenIDConnectProviders', `arn:aws:iam::${account.id}:oidc-provider/*`)
      return { result: { OpenIDConnectProviderList: account.oidcProviders.list().map(({ arn }) => ({ Arn: arn })) } }
    },

    DeleteOpenIDConnectProvider (call) {
      const subject = readProvider(call)
      judge.authorize(call, 'iam:DeleteOpenIDConnectProvider', subject.arn)
      call.caller.account.oidcProviders.remove(hostOf(requireProvider(subject).url))
      return { result: {} }
    }
  }
}

/** An issuer's URL as ARNs and condition keys have it: without scheme and closing slash. */
export function hostOf (url: string): string {
  return url.replace(/^https?:\/\//, '').replace(/\/$/, '')
}

function readProvider (call: Call): Subject<OidcProvider> {
  const problems = createProblems()
  const subject = readSubject(call, problems)
  problems.throwIfAny()
  return subject
}

/** @throws AwsError InvalidInput for an ARN that is no provider's of this account. */
function readSubject ({ params, caller: { account } }: Call, problems: Problems): Subject<OidcProvider> {
  const arn = problems.required(params, 'OpenIDConnectProviderArn', rules.arn)
  problems.throwIfAny()
  const prefix = `arn:aws:iam::${account.id}:oidc-provider/`
  if (!arn.startsWith(prefix)) throw new AwsError(400, 'InvalidInput', 'Invalid Open ID Connect Provider ARN')
  const provider = account.oidcProviders.find(arn.slice(prefix.length))
  return { name: arn, arn, record: provider?.arn === arn ? provider : null }
}

function requireProvider ({ arn, record }: Subject<OidcProvider>): OidcProvider {
  if (record === null) throw noSuchEntity(`OpenIDConnect Provider not found for arn ${arn}`)
  return record
}
