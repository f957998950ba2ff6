//! The patterns, and how many points each gives. They are matched on folded text.
//!
//! In the expressions blanks mean nothing; `@3` stands for up to three words in between, `@not` for a negation.
//! 4 points are enough by themselves under the default threshold; 2 and 3 need company.

/// One way in which orders to a model are put.
#[derive(Debug)]
pub(super) struct Pattern {
    /// What it reads like.
    pub(super) name: &'static str,
    pub(super) points: u32,
    /// Texts of which one must be there, so that the expression is worth running.
    pub(super) needs: &'static [&'static str],
    pub(super) regex: &'static str,
}

const fn pattern(
    name: &'static str,
    points: u32,
    needs: &'static [&'static str],
    regex: &'static str,
) -> Pattern {
    Pattern {
        name,
        points,
        needs,
        regex,
    }
}

const OVERRIDE: &str = "an order to drop earlier instructions";
const PERSONA: &str = "a new role for the model";
const MARKUP: &str = "markup of a prompt";
const ADDRESS: &str = "words to the model itself";
const PROMPT: &str = "a question for the system prompt";
const SECRECY: &str = "an order to keep something from the user";
const EXFILTRATION: &str = "an order to hand data over";
const FILES: &str = "a question for files that hold secrets";
const SHADOWING: &str = "an order about other tools";
const CONCEALED: &str = "concealed markup";

const DROP: &[&str] = &[
    "ignor",
    "disregard",
    "forget",
    "overrid",
    "bypass",
    "neglect",
    "discard",
    "abandon",
    "follow",
    "obey",
    "bound",
    "comply",
    "heed",
];
const SENSITIVE: &[&str] = &[
    "key",
    "token",
    "password",
    "credential",
    "cookie",
    "secret",
    "environment",
    "env",
    "keychain",
    "phrase",
];
const HOMES: &[&str] = &[
    ".ssh",
    ".aws",
    ".gnupg",
    ".kube",
    ".docker",
    ".netrc",
    ".npmrc",
    "bash_history",
    ".config/",
    "id_rsa",
    "id_ed25519",
    "/etc/",
    "authorized_keys",
    "wallet",
    "seed",
    ".env",
    "mcp.json",
    "keychain",
    "cookies",
    "secrets file",
];

#[rustfmt::skip]
pub(super) static PATTERNS: &[Pattern] = &[
    // Overriding.
    pattern(OVERRIDE, 4, DROP, r"\b(?:ignor\w+|disregard\w*|forget\w*|overrid\w+|bypass\w*|neglect\w*|discard\w*|abandon\w*|@not\s+(?:follow|obey|comply|heed)\w*|stop\s+(?:follow|obey)ing|not\s+bound)@5(?:previous|prior|above|earlier|preceding|initial|original|existing|all|any|your|system|developer|these|those)@2(?:instruction|prompt|guideline|directive|guidance|direction|programming)s?\b"),
    pattern(OVERRIDE, 4, DROP, r"\b(?:ignor\w+|disregard\w*|forget\w*|overrid\w+|bypass\w*|@not\s+(?:follow|obey|comply|heed)\w*|stop\s+(?:follow|obey)ing|(?:no\s+longer|not)\s+bound)@3(?:your|its|the\s+(?:system|developer|model)['’]?s?|safety|content|system)@2(?:rule|polic(?:y|ie)|restriction|constraint|training|safeguard|limit|message|filter)s?\b"),
    pattern(OVERRIDE, 4, &["forget", "disregard", "ignore"], r"\b(?:forget|disregard|ignore)\W+(?:everything|anything|all|what)@4(?:told|said|before|above|instructed|learned|learnt)\b"),
    pattern(OVERRIDE, 3, &["void", "outdated", "obsolete", "revoked", "superseded", "lifted", "disregarded", "suspended", "cancelled", "null"], r"\b(?:instruction|rule|guideline|prompt|restriction|limitation)s?@5(?:void|outdated|obsolete|revoked|superseded|lifted|disregarded|suspended|cancelled|null)\b"),
    pattern(OVERRIDE, 2, &["instruction", "prompt", "rules"], r"\b(?:your|prior|previous|earlier|all\s+other)\W+(?:\w+\W+){0,2}?(?:instructions|prompts|rules|guidelines)\b"),
    pattern(OVERRIDE, 4, &["supersede", "priority", "precedence", "replace", "outrank"], r"\b(?:supersedes?|outranks?|replaces?|(?:takes?|ha(?:s|ve))\W+(?:priority|precedence)\W+over)@2(?:all|any|your|other|previous|earlier|them|those|it|the\s+system)\b@3(?:instructions?|prompts?|guidelines?|system)\b"),
    pattern(OVERRIDE, 3, &["priority", "precedence", "rules in this", "replace it"], r"\b(?:(?:priority|precedence)\W+over\W+(?:them|those|the\s+system|your|everything)|instructions\b[^.]{0,60}\bpriority|(?:text|description)\W+has\W+priority)\b"),
    pattern(OVERRIDE, 3, &["instructions:", "instruction:", "instructions for the", "override:"], r"\b(?:new|updated|real|actual|secret|hidden|admin|system)\W+instructions?\s*:|^\W*override\s*:|\boverride:\s"),
    pattern(OVERRIDE, 2, &["follow only", "obey th", "obey only", "follow the", "follow it", "guidance"], r"\b(?:follow|obey)\W+(?:only\W+)?(?:what|this|the\s+(?:orders?|ones|commands?|instructions?)|it\b)|\bearlier\W+guidance\b"),
    // Persona.
    pattern(PERSONA, 3, &["you are now", "you are hereby", "you're now", "from now on", "from this moment"], r"\byou(?:\s+are|['’]re)\W+(?:now|hereby)\b|\bfrom\W+(?:now|this\W+moment)\W+on\b"),
    pattern(PERSONA, 3, &["pretend", "act as", "roleplay"], r"\bpretend\W+(?:that\W+)?you\b|\bact\W+as\W+(?:an?\W+)?(?:system\W+|root\W+|unrestricted\W+|hidden\W+)?(?:admin\w*|root|hacker|superuser|agent|dan)\b"),
    pattern(PERSONA, 4, &["do anything now", "jailbr", "unrestricted", "no restrictions", "no longer bound"], r"\b(?:do\W+anything\W+now|jailbr(?:eak|oken)|unrestricted\W+(?:agent|ai|mode|assistant|model)|you\W+have\W+no\W+(?:restrictions|limits|rules|filters)|no\W+longer\W+bound\W+by)\b"),
    pattern(PERSONA, 3, &["mode"], r"\b(?:enter|activat\w+|switch\W+to|operat\w+\W+in|you\W+are@1in)\W+(?:developer|debug|maintenance|god|admin\w*|sudo|root|unrestricted)\W+mode\b"),
    pattern(PERSONA, 2, &["administrator", "root rights", "elevated", "full access", "authorised", "authorized"], r"\b(?:as\W+an?\W+administrator|root\W+rights|elevated\W+permissions?|grant\W+full\W+access|hereby\W+authori[sz]ed|operator\W+had\W+said)\b"),
    pattern(PERSONA, 2, &["approve every", "approve all", "without confirmation", "confirm nothing", "without asking", "permission to delete", "have permission"], r"\b(?:approve\W+(?:every|all)|without\W+(?:confirmation|asking)|confirm\W+nothing|you\W+have\W+permission)\b"),
    // Markup of prompts.
    pattern(MARKUP, 4, &["im_start", "im_end", "[inst]", "[/inst]", "<<sys>>", "<|", "[system]"], r"<\|?(?:im_start|im_end|system|assistant|user|endoftext)\|>|\[/?inst\]|<</?sys>>|\[/?system\]"),
    pattern(MARKUP, 4, &["<important", "<system", "<secret", "<admin", "<hidden", "<assistant", "<instruction", "<directive"], r"<(?:important|system\w*|secret\w*|admin\w*|hidden\w*|assistant\w*|instructions?|directive)(?:\s[^>]*)?>"),
    pattern(MARKUP, 3, &["system:", "assistant:", "system override", "user:"], r"(?:^|[.!?>]\s|\#\s?)\s*(?:system|assistant)\s*:\s|\bsystem\W+override\b"),
    // Words to the model.
    pattern(ADDRESS, 3, &["to the", "for the", "to ai", "for ai", "attention", "to llm"], r"\b(?:note|message|attention|instructions?|hint|reminder|order)\W+(?:\w+\W+){0,1}?(?:to|for)\W+(?:the\W+)?(?:ai|llms?|(?:language\W+)?models?|assistant|agent)\b|\battention,?\W+(?:ai|llm|assistant|agent|model)\b"),
    pattern(ADDRESS, 3, &["an ai", "an llm", "a language model", "ai agent", "ai model"], r"\b(?:if\W+you\W+are|as|you\W+are)\W+an?\W+(?:ai|llm|language\W+model)\b"),
    pattern(ADDRESS, 2, &["assistant", "agent", "model", "llm"], r"\b(?:the\W+(?:assistant|model|agent|llm)(?:['’]s)?\W+(?:must|should|is\W+to|has\W+to|will|restrictions)|tell\W+the\W+(?:model|assistant|agent)|assistant\s*:|agent,)"),
    pattern(ADDRESS, 3, &["as commands", "as instructions", "as if", "as though", "an instruction", "if the operator"], r"\b(?:treat@6(?:as\W+(?:commands|instructions|if|though)|an\W+instruction)|(?:is|are)\W+an?\W+instruction)\b"),
    // The system prompt.
    pattern(PROMPT, 4, &["prompt"], r"\b(?:reveal|print|show|output|repeat|give|return|include|pass|tell|display|expose|leak|put|place|copy|add|write)s?\b@5(?:system|initial|developer|original|hidden|your|its)@1prompts?\b"),
    pattern(PROMPT, 3, &["your full configuration", "your memory", "tool definitions", "your instructions", "of your memory", "secret you know", "secrets you know", "keys you know", "you know"], r"\b(?:your\W+(?:full\W+)?(?:configuration|memory|instructions)|all\W+tool\W+definitions|(?:every|all|the)\W+(?:secrets?|api\W+keys?|passwords?)\W+(?:that\W+|which\W+)?you\W+(?:know|have))\b"),
    // Secrecy.
    pattern(SECRECY, 4, &["user", "human", "operator"], r"\b@not\W+(?:\w+\W+){0,2}?(?:tell|inform|mention|notify|alert|reveal|disclose|let|scare|warn)(?:ing)?\b@6(?:user|users|human|humans|operator)\b"),
    pattern(SECRECY, 2, &["user", "human"], r"\b@not\W+(?:\w+\W+){0,1}?(?:show|ask|say|asking|showing)\b@5(?:user|users|human|humans|confirmation|permission)\b|\bno\W+need\W+to\W+(?:ask|inform)"),
    pattern(SECRECY, 4, &["keep", "hide", "conceal", "withhold", "secret"], r"\b(?:keep|hide|conceal|withhold)\b@4(?:from|secret)\W+(?:from\W+)?(?:the\W+)?(?:user|users|human|humans|them)\b"),
    pattern(SECRECY, 4, &["user", "human"], r"\b(?:user|users|human|humans)\W+(?:must|should|may|need|does|do|shall|will)\W+(?:not|never)\W+(?:\w+\W+){0,2}?(?:know|see|notice|learn|find\W+out|hear|told|informed)\b"),
    pattern(SECRECY, 4, &["visible to the"], r"\b(?:make\W+sure|ensure|so\W+that)@5(?:not|never|in)\W*visible\W+to\W+the\W+(?:user|human)\b"),
    pattern(SECRECY, 4, &["user asks", "user wants", "they ask", "user inquires"], r"\bif\W+(?:the\W+user|they)\W+(?:asks?|inquires?),?\W+(?:say|tell|claim|answer|pretend|respond|explain)\b"),
    pattern(SECRECY, 4, &["these instructions", "this instruction", "this step", "this field"], r"\b@not\W+(?:\w+\W+){0,1}?(?:mention|reveal|disclose|share|repeat|show)\w*\W+(?:these\W+instructions|this\W+(?:instruction|step|field))"),
    pattern(SECRECY, 3, &["mention", "reveal", "disclose", "say nothing", "show this"], r"\b(?:@not\W+(?:\w+\W+){0,1}?(?:mention|reveal|disclose|show)(?:ing)?\W+(?:this|that|it|them)\b|say\W+nothing\W+(?:of|about))"),
    pattern(SECRECY, 2, &["silently", "quietly", "secretly", "covertly", "in the background", "in your reply", "your answer", "nothing visible", "upsetting"], r"\b(?:silently|quietly|secretly|covertly|in\W+your\W+(?:reply|answer|summary|response)|leak\W+nothing\W+visible|find\W+it\W+upsetting)\b"),
    // Exfiltration.
    pattern(EXFILTRATION, 4, &["conversation", "chat", "history", "messages", "clipboard"], r"\b(?:send|post|upload|forward|transmit|leak|mail|copy|pass|includ|append|attach|put|plac|write|export|submit|provid|collect|encod|contain|repeat|fill|call\W+it\W+with)(?:s|e|es|ing)?\b@6(?:whole|entire|complete|full|all|current|user['’]s|previous|verbatim|chat|conversation|last)@2(?:conversation|chat|history|messages?|clipboard|so\W+far)\b"),
    pattern(EXFILTRATION, 3, &["conversation", "clipboard", "chat"], r"\b(?:send|post|upload|forward|transmit|copy|pass|fill|put|encode)\b@4(?:the\W+(?:conversation|clipboard|chat)|chat\W+so\W+far)\b|\bconversation\W+history\b"),
    pattern(EXFILTRATION, 4, SENSITIVE, r"\b(?:send|post|upload|forward|transmit|leak|mail|copy|pass|includ|append|attach|put|write|submit|provid|collect|gather|paste)(?:e|ing)?\b@5(?:user['’]?s?|their|all|every|any|other|your|you)\b@4(?:api\W+keys?|access\W+tokens?|tokens?|passwords?|credentials?|cookies?|secrets?|private\W+keys?|environment\W+variables|env\W+vars|keychain|seed\W+phrase)\b"),
    pattern(EXFILTRATION, 3, SENSITIVE, r"\b(?:passwords?|tokens?|credentials?|(?:api|private)\W+keys?|cookies?)(?:,|\W+and|\W+or)@4(?:you\W+have\W+seen|return\W+them|them\W+in)\b|\b(?:return|include|attach|put|pass|give)\W+(?:them|it|these)\b"),
    pattern(EXFILTRATION, 3, &["session cookie", "session token", "browser cookies", "access token of", "user's token", "user’s token", "user's api key", "user's password", "user's credentials", "'s browser"], r"\b(?:session\W+(?:cookie|token)|browser\W+cookies|access\W+token\W+of|user['’]s\W+(?:session\W+)?(?:token|api\W+key|password|credentials|browser\W+cookies))\b"),
    pattern(EXFILTRATION, 2, &["http://", "https://", "www."], r"\b(?:send|sent|post|upload|forward|transmit|submit|pass|copy|mail|export|sync|append|transmitted)\w*\b[^.]{0,100}?\b(?:to|at|of)\W+(?:\w+\W+){0,4}?(?:https?://|www\.)"),
    pattern(EXFILTRATION, 2, &["also", "always", "after each", "before each", "each time", "every time", "when done", "must contain", "has to be sent", "in each call"], r"\b(?:also\W+(?:send|read|post|copy)|always\W+(?:add|send|include|set|call)|(?:after|before)\W+each\W+call|(?:each|every)\W+time|when\W+done|must\W+contain|has\W+to\W+be\W+sent|in\W+each\W+call)\b"),
    pattern(EXFILTRATION, 4, &["bcc"], r"\b(?:always|every|each|all|must\W+be\W+given)@5bcc\b|\bbcc\W+(?:\w+\W+){0,3}?[\w.+-]+@|\bbcc\W+every"),
    pattern(EXFILTRATION, 3, &["@"], r"\b(?:forward|copy|send|mail|export)\w*\b(?:\W+\w+){0,8}?\W+(?:to\W+)?(?:the\W+address\W+)?[\w.+-]+@[\w-]+\.\w+"),
    pattern(EXFILTRATION, 2, &["copy of all", "every file", "all files", "all mails", "all arguments", "contact list", "all environment", "all messages"], r"\b(?:copy\W+of\W+all|upload\W+(?:every|all)|(?:all|every)\W+(?:mails?|arguments|messages)|contact\W+list\W+and|all\W+environment\W+variables)\b"),
    pattern(EXFILTRATION, 4, &["environment variables"], r"\b(?:put|include|send|pass|attach|append|return)\b@2(?:all|the|your|every)@1environment\W+variables\b"),
    pattern(EXFILTRATION, 3, &["curl", "wget", "$(cat", "rm -rf", "base64 -d", "| base64"], r"\b(?:curl|wget)\s+\S*(?:\s+\S+){0,4}?\s*\S*(?:https?://|@~?/)|\$\(cat\s|\brm\s+-rf\b|\bbase64\s+-d\b|\|\s*base64\b"),
    pattern(EXFILTRATION, 4, &["curl", "wget"], r"\b(?:curl|wget)\b.{0,80}(?:@~?/|\$\(|~/\.)"),
    pattern(EXFILTRATION, 4, &["]("], r"!\[[^\]]*\]\(https?://[^)\s]*[?=][^)\s]*(?:secret|token|key|data|\{|\$)"),
    // Files.
    pattern(FILES, 2, HOMES, r"(?:~|\$home|/root|/home/\w+)/\.(?:ssh|aws|gnupg|kube|docker|netrc|npmrc|bash_history|config/gcloud|cursor|pypirc|git-credentials)|\bid_(?:rsa|ed25519|ecdsa)\b|/etc/(?:passwd|shadow)\b|\bauthorized_keys\b|\bwallet\.dat\b|\bseed\W+phrase\b|\bmcp\.json\b|(?:^|[\s'`(])\.env\b|\bkeychain\W+entries\b|\bbrowser\W+cookies\b|\bsecrets\W+file\b"),
    pattern(FILES, 2, HOMES, r"\b(?:read|reading|open|load|cat|attach|paste|pass|put|contents?\W+of|text\W+of|lines|include|fetch|look\W+into|use|needs|set|requires|holds?|return)\b.{0,60}?(?:~/\.|id_rsa|id_ed25519|/etc/(?:passwd|shadow)|authorized_keys|wallet\.dat|seed\W+phrase|\bmcp\.json|\.env\b|keychain|browser\W+cookies|secrets\W+file)"),
    pattern(FILES, 4, HOMES, r"/etc/(?:passwd|shadow)\b.{0,40}(?:authorized_keys|id_rsa)|\bset\W+this\W+to\W+/etc/|\bput\W+the\W+contents?\W+of\W+/etc/"),
    pattern(FILES, 2, &["sidenote", "otherwise the tool", "base64-encoded", "whatever the user"], r"\bsidenote\b|\botherwise\W+the\W+tool\b|\bbase64-encoded\b"),
    // Shadowing.
    pattern(SHADOWING, 4, &["other", "another", "different", "official"], r"\b@not\W+(?:\w+\W+){0,1}?(?:use|call|invoke)\b@2(?:other|another|different|official)@2tools?\b"),
    pattern(SHADOWING, 4, &["instead of"], r"\binstead\W+of\W+(?:calling|using|invoking)\W+\S+?,?\W+(?:always\W+)?(?:call|use|invoke)\W+this\b"),
    pattern(SHADOWING, 3, &["this tool"], r"\b(?:call|use|invoke)\W+this\W+tool\W+(?:first|before|instead)|\bthis\W+tool\W+(?:must|has\W+to|should)\W+(?:always\W+)?be\W+(?:called|used|invoked)|\balways\W+(?:call|use|invoke)\W+this\W+tool|\b(?:through|from)\W+this\W+tool\b|\bprefer\W+this\W+tool\W+over|\bthis\W+tool\W+replaces\W+all"),
    pattern(SHADOWING, 3, &["whatever the user", "even if they", "even if the user", "without asking", "no matter what"], r"\b(?:whatever|no\W+matter\W+what)\W+the\W+user\W+(?:says|asks?|asked|wants)|\beven\W+if\W+(?:they|the\W+user)\W+(?:name|ask|want|say)s?\b"),
    pattern(SHADOWING, 4, &["whenever", "when ", "any time", "every time", "each call", "each time", "if a tool", "if the"], r"\b(?:whenever|when|any\W+time|every\W+time|for\W+each\W+call|if)\b@5(?:tool|server|send_\w+|\w+_\w+|\w+\.\w+)\b@2(?:is|are|exists|named)\b[^.]{0,80}\b(?:must|always|call\W+it|set\W+its|has\W+to|recipient|bcc)\b"),
    pattern(SHADOWING, 4, &["for each call", "calls to other", "subsequent calls", "other tools", "other mail tools", "every tool"], r"\bfor\W+each\W+call\W+to\W+\w+\.?\w*\W+(?:add|set|send|include)|\bcalls\W+to\W+other\W+servers\b|\barguments\W+of\W+(?:subsequent|other|later|all\W+other)\W+calls|\bother\W+(?:\w+\W+)?tools\W+must\b|\bevery\W+tool\b[^.]{0,60}\bmust\W+not\b"),
    pattern(SHADOWING, 2, &["any other tool", "after using this tool", "all other", "subsequent calls", "right after this", "deprecated and must"], r"\b(?:(?:before\W+)?any\W+other\W+tool|after\W+using\W+this\W+tool|all\W+other\W+(?:\w+\W+)?tools|subsequent\W+calls|right\W+after\W+this|deprecated\W+and\W+must)\b"),
    pattern(SHADOWING, 2, &["all arguments of", "every turn", "each turn", "user's message", "user’s message", "every message"], r"\ball\W+arguments\W+of\W+that\W+tool\b|\b(?:on\W+)?(?:every|each)\W+turn\b|\bcomplete\W+text\W+of\W+the\W+user"),
    pattern(SHADOWING, 3, &["shell", "terminal", "delete_all", "confirm", "all=true", "admin=true", "this command", "the command"], r"\b(?:call|execute|run|use)\b@3(?:shell\w*|terminal\w*|delete_all)\b|\b(?:with|set|argument|call)\b@3(?:confirm|all|admin)\b(?:\W+to\W+|\s*=\s*|\s+)(?:true|1)\b|\bexecute\W+(?:this|the)\W+command"),
    pattern(SHADOWING, 4, &["with the command", "command in", "shell commands", "as instructions", "follow it"], r"\b(?:call|run|execute)\b@4command\W+in\W+(?:the\W+result|`)|\bexecute\W+shell\W+commands\W+without\b|\b(?:execute|run)\W+it\W+as\W+instructions\b|\bdecode@3and\W+(?:follow|execute|obey)\W+it"),
    pattern(SHADOWING, 4, &["override the behavio", "instead of the official"], r"\boverride\W+the\W+behaviou?r\W+of\b"),
    pattern(SHADOWING, 4, &["immediately"], r"\b(?:execute|run)\W+(?:this|the)\W+command\b.{0,60}\bimmediately\b"),
    pattern(SHADOWING, 2, &["follow the orders", "follow the instructions", "proxy", "doubled"], r"\bfollow\W+the\W+(?:orders|instructions|commands)\W+in\b|\bamount\W+doubled\b"),
    // Concealed markup.
    pattern(CONCEALED, 4, &["<!--", "[//]:", "/*"], r"(?:<!--|\[//\]:\s*\#\s*\(|/\*)\s*[^>]{0,200}?\b(?:system|ai|agent|assistant|model|call|must|ignore|instruction|token|secrets?|confirm)\b"),
    pattern(CONCEALED, 4, &["display", "font-size", "visibility", "hidden", "color", "width"], r"<[^>]{0,200}(?:display\s*:\s*none|font-size\s*:\s*0|visibility\s*:\s*hidden|color\s*:\s*white|width\s*:\s*0|\shidden\b)[^>]*>"),
    pattern(CONCEALED, 4, &["<script", "onerror", "onload", "document.cookie", "<iframe"], r"<script[^>]*>[^<]{0,200}\b(?:fetch|document|eval|location)\b|\bon(?:error|load)\s*=|\bdocument\.cookie\b|<iframe\s[^>]*src"),
    pattern(CONCEALED, 3, &["<details"], r"<details>\s*<summary>\s*</summary>"),
    // Other languages: overriding and secrecy only.
    pattern(OVERRIDE, 4, &["ignorier", "ignora", "ignorez", "ignore", "vergiss", "olvida", "oublie", "dimentica", "esquec", "missachte"], r"\b(?:ignorier\w*|vergiss|missachte)@3(?:vorherigen?|bisherigen?|fruheren?|früheren?|obigen?|alle)\W+(?:\w+\W+)?(?:anweisung|instruktion|regel)|\b(?:ignora|ignore|olvida|esqueca|esqueça|dimentica)@2(?:todas|tutte|las|as|le|todo)\W+(?:\w+\W+)?(?:instrucciones|instruções|istruzioni)|\b(?:ignorez|ignore|oublie[zr]?)@2(?:les|toutes)\W+(?:les\W+)?(?:instructions|consignes)"),
    pattern(OVERRIDE, 4, &["忽略", "無視", "无视", "игнорир", "забудь", "무시"], r"(?:忽略|无视).{0,12}(?:指令|指示|提示)|(?:指示|命令|プロンプト).{0,8}無視|(?:игнорируй\w*|забудь)@3(?:инструкци|указани|правил)|(?:지시|명령|프롬프트).{0,10}무시"),
    pattern(SECRECY, 4, &["nutzer", "benutzer", "usuario", "usuário", "utilisateur", "utente"], r"\b(?:sage?|erzahle?|erzähle?|verrate?)\W+(?:dem|der|den)\W+(?:be)?nutzer\w*\W+(?:nichts|nie)|\bno\W+le\W+digas\b@3usuario|\b(?:ne\W+dis|ne\W+dites)\b@3utilisateur|\bnon\W+dire\b@3utente|\bnão\W+(?:diga|conte)\b@3usuário"),
];

/// What the abbreviations in an expression stand for.
pub(super) fn written_out(regex: &str) -> String {
    let mut text = regex.replace(
        "@not",
        r"(?:not|never|don['’]?t|doesn['’]?t|mustn['’]?t|without|avoid|no\s+need\s+to)",
    );
    for words in 1..=6 {
        text = text.replace(
            &format!("@{words}"),
            &format!(r"(?:\W+[\w`']+){{0,{words}}}?\W+"),
        );
    }
    text
}
