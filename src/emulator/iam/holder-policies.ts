import { limitExceeded, noSuchEntity } from '../aws-error.ts'
import type { Operation, Operations } from '../call.ts'
import type { PolicyHolder } from '../state/records.ts'
import { createProblems } from '../validation.ts'
import { encodedDocument, requirePolicy, storedPolicy } from './policy-text.ts'
import { countedCharacters, readPage, rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import { existing, readSubject, subjectKeys, type HolderKind } from './subject.ts'

/** Inline and attached policies: `PutRolePolicy`, `AttachUserPolicy` and so on, for one kind of holder. */
export function createHolderPolicyOperations<T extends PolicyHolder> (
  kind: HolderKind<T>, parts: IamParts
): Operations {
  const { word } = kind
  return {
    ...inlineOperations(kind, parts),
    ...attachmentOperations(kind, parts),
    [`ListAttached${word}Policies`]: listAttached(kind, parts)
  }
}

function inlineOperations<T extends PolicyHolder> (kind: HolderKind<T>, { judge }: IamParts): Operations {
  const { word } = kind
  const place = word.toLowerCase()

  return {
    [`Put${word}Policy`]: (call) => {
      const problems = createProblems()
      const subject = readSubject(kind, call, problems)
      const name = problems.required(call.params, 'PolicyName', rules.policyName)
      const text = problems.required(call.params, 'PolicyDocument', rules.document)
      problems.throwIfAny()
      judge.authorize(call, `iam:Put${word}Policy`, subject.arn, subjectKeys(subject.record))
      const holder = existing(kind, subject)
      const inline = new Map([...holder.inline, [name, storedPolicy(text)]])
      const characters = inline.values().reduce((sum, policy) => sum + countedCharacters(policy.text), 0)
      if (characters > kind.inlineCharactersMax) {
        throw limitExceeded(`Maximum policy size of ${kind.inlineCharactersMax} bytes exceeded for ${place} ${holder.name}`)
      }
      kind.collection(call.caller.account).put(holder.name, { ...holder, inline })
      return { result: {} }
    },

    [`Get${word}Policy`]: (call) => {
      const problems = createProblems()
      const subject = readSubject(kind, call, problems)
      const name = problems.required(call.params, 'PolicyName', rules.policyName)
      problems.throwIfAny()
      judge.authorize(call, `iam:Get${word}Policy`, subject.arn, subjectKeys(subject.record))
      const holder = existing(kind, subject)
      const policy = holder.inline.get(name)
      if (policy === undefined) throw noSuchEntity(`The ${place} policy with name ${name} cannot be found.`)
      return {
        result: { [`${word}Name`]: holder.name, PolicyName: name, PolicyDocument: encodedDocument(policy.text) }
      }
    },

    [`Delete${word}Policy`]: (call) => {
      const problems = createProblems()
      const subject = readSubject(kind, call, problems)
      const name = problems.required(call.params, 'PolicyName', rules.policyName)
      problems.throwIfAny()
      judge.authorize(call, `iam:Delete${word}Policy`, subject.arn, subjectKeys(subject.record))
      const holder = existing(kind, subject)
      const inline = new Map(holder.inline)
      if (!inline.delete(name)) throw noSuchEntity(`The ${place} policy with name ${name} cannot be found.`)
      kind.collection(call.caller.account).put(holder.name, { ...holder, inline })
      return { result: {} }
    },

    [`List${word}Policies`]: (call) => {
      const problems = createProblems()
      const subject = readSubject(kind, call, problems)
      const page = readPage(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, `iam:List${word}Policies`, subject.arn, subjectKeys(subject.record))
      const { items, fields } = page([...existing(kind, subject).inline.keys()].toSorted())
      return { result: { PolicyNames: items, ...fields } }
    }
  }
}

function attachmentOperations<T extends PolicyHolder> (kind: HolderKind<T>, { judge, world }: IamParts): Operations {
  const { word } = kind

  const change = (verb: 'Attach' | 'Detach', apply: (attached: readonly string[], arn: string, holder: T) => readonly string[]): Operation => (call) => {
    const problems = createProblems()
    const subject = readSubject(kind, call, problems)
    const arn = problems.required(call.params, 'PolicyArn', rules.arn)
    problems.throwIfAny()
    judge.authorize(call, `iam:${verb}${word}Policy`, subject.arn, { ...subjectKeys(subject.record), 'iam:PolicyARN': [arn] })
    const holder = existing(kind, subject)
    if (verb === 'Attach') requirePolicy(world, call.caller.account, arn)
    const attached = apply(holder.attached, arn, holder)
    kind.collection(call.caller.account).put(holder.name, { ...holder, attached })
    return { result: {} }
  }

  return {
    [`Attach${word}Policy`]: change('Attach', (attached, arn) => {
      if (attached.includes(arn)) return attached
      if (attached.length >= kind.attachedMax) {
        throw limitExceeded(`Cannot exceed quota for PoliciesPer${word}: ${kind.attachedMax}`)
      }
      return [...attached, arn]
    }),
    [`Detach${word}Policy`]: change('Detach', (attached, arn) => {
      if (!attached.includes(arn)) throw noSuchEntity(`Policy ${arn} was not found.`)
      return attached.filter((one) => one !== arn)
    })
  }
}

function listAttached<T extends PolicyHolder> (kind: HolderKind<T>, { judge }: IamParts): Operation {
  return (call) => {
    const problems = createProblems()
    const subject = readSubject(kind, call, problems)
    const prefix = problems.text(call.params, 'PathPrefix', rules.pathPrefix) ?? '/'
    const page = readPage(call.params, problems)
    problems.throwIfAny()
    judge.authorize(call, `iam:ListAttached${kind.word}Policies`, subject.arn, subjectKeys(subject.record))
    const attached = existing(kind, subject).attached
      .filter((arn) => arn.slice(arn.indexOf(':policy/') + ':policy'.length).startsWith(prefix))
    const { items, fields } = page(attached)
    return {
      result: {
        AttachedPolicies: items.map((arn) => ({ PolicyName: arn.slice(arn.lastIndexOf('/') + 1), PolicyArn: arn })),
        ...fields
      }
    }
  }
}
