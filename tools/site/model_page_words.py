"""The Korean of what `build_model_pages` says itself; sentences of runs have a catalogue."""

from __future__ import annotations

from collections.abc import Mapping

KOREAN: Mapping[str, str] = {
    "{developer}, released {released}. Repository `{repo}`.": (
        "{developer}, {released} 공개. 저장소 `{repo}`."
    ),
    "No weight of this model was read for this page, so nothing here says whose weights it has.": (
        "이 문서를 만들면서 모델의 가중치는 읽지 않았습니다. 따라서 여기 있는 어떤 내용도 가중치가 "
        "누구의 것인지 말하지 않습니다."
    ),
    "How to reproduce": "재현 방법",
    "How it was made, as published": "발표된 제작 방법",
    "Licence: {licence}.": "라이선스: {licence}.",
    "This was read second-hand and was not measured here: no hub was in reach. Where the start is an earlier model of the same developer, [policies](../policies.md) say whether that is accepted; a run with the hub in reach compares the weights with that model and with strangers.": (
        "이 내용은 2차 출처에서 읽은 것이며 여기서 측정하지 않았습니다. 허브에 닿을 수 없었기 때문입니다. "
        "같은 개발사의 이전 모델에서 출발한 경우 그것을 인정하는지는 [정책](../policies.md)이 정하며, "
        "허브에 닿는 곳에서 실행하면 그 모델 및 무관한 모델들과 가중치를 비교합니다."
    ),
    "started from K-EXAONE-236B-A23B: 48 to 78 layers by repeated blocks of the middle, 128 to 256 experts by doubled experts and router rows, the second copy turned by a norm-preserving random rotation; tokenizer unchanged": (
        "K-EXAONE-236B-A23B에서 출발. 가운데 블록을 반복해 48층을 78층으로, 전문가와 라우터 행을 두 배로 "
        "복제해 전문가 128개를 256개로 늘리고, 두 번째 사본은 크기를 보존하는 임의 회전을 적용. "
        "토크나이저는 그대로"
    ),
    "from scratch; grouped differential latent attention, PolyNorm, hyper-connections": (
        "처음부터 학습. 그룹 차등 잠재 어텐션, PolyNorm, 하이퍼 커넥션"
    ),
    "from scratch; tokenizer of A.X-K1 unchanged; the published checkpoint is a merge of about six checkpoints of one run, 1.6B tokens apart": (
        "처음부터 학습. A.X-K1의 토크나이저를 그대로 사용. 공개된 체크포인트는 한 학습에서 16억 토큰 "
        "간격으로 저장한 체크포인트 약 여섯 개를 병합한 것"
    ),
    "initialised by selective transfer from Solar-Open-100B: 5.69B of 250.3B parameters (2.3 %: embedding, output, norms, some attention projections, shared expert); 36 linear-attention (KDA) and 12 softmax layers, routed experts drawn anew": (
        "Solar-Open-100B의 가중치를 골라 옮겨 초기화. 매개변수 2,503억 개 중 56.9억 개(2.3 %: 임베딩, 출력, "
        "노름, 일부 어텐션 투영, 공유 전문가). 선형 어텐션(KDA) 36층과 소프트맥스 12층, 라우팅 전문가는 "
        "새로 뽑음"
    ),
    "Published figures": "발표된 수치",
    "Figure": "항목",
    "Value": "값",
    "Status": "확인 상태",
    "Source": "출처",
    "The config, as far as published, in canonical names (status: {status}):": (
        "발표된 범위의 config(표준화한 필드 이름, 확인 상태: {status}):"
    ),
    "Tower": "타워",
    "Fields": "필드",
    "Sources of the config:": "config의 출처:",
    "Verification": "확인 경위",
    "not published": "미공개",
    "Not published": "공개되지 않은 수치",
    "Published of the tokenizer (the model's own tokenizer file was not read):": (
        "토크나이저에 관해 발표된 수치(모델의 토크나이저 파일은 직접 읽지 않음):"
    ),
    "What is contradicted": "반박되는 것",
    "Nothing that could be checked without the hub.": (
        "허브 없이 확인할 수 있는 범위에서는 없습니다."
    ),
    "A contradicted claim speaks of the claim, not of the weights. Most of these are statements of third parties about the model, as the source shows.": (
        "반박되었다는 것은 그 주장에 대한 말이지 가중치에 대한 말이 아닙니다. 출처에서 보듯 대부분은 "
        "개발사가 아닌 제3자가 모델에 대해 한 진술입니다."
    ),
    "What agrees with what was published": "발표된 내용과 일치하는 것",
    "Claim": "주장",
    "What the run says": "실행 결과",
    "What is declared": "공표된 것",
    "- {component}: from `{origin}`, says {by}; state: {state} ({source})": (
        "- {component}: `{origin}`에서 가져옴. 진술 주체: {by}. 상태: {state} ({source})"
    ),
    "the transformers documentation": "transformers 문서",
    "sources disagree": "출처가 서로 다름",
    "disputed": "논란 있음",
    "re-initialised": "재초기화",
    "fine-tuned": "미세조정",
    "frozen": "동결",
    "unstated": "밝히지 않음",
    "What a run says without a hub": "허브 없이 실행한 결과",
    "The tests behind it": "그 근거가 된 검사",
    "Component": "구성 요소",
    "Verdict": "판정",
    "Reference": "참조 모델",
    "Test": "검사",
    "Outcome": "결과",
    "Finding": "내용",
    "What is open": "미결인 것",
    "Would decide": "판정에 필요한 것",
    # towers and quantities
    "text": "텍스트",
    "vision": "비전",
    "audio": "오디오",
    "projector": "프로젝터",
    "total_parameters": "전체 매개변수",
    "active_parameters": "활성 매개변수",
    "tokens": "학습 토큰",
    "tokens_alternative": "학습 토큰(다른 발표)",
    "gpu_hours": "GPU 시간",
    "peak_flops": "GPU 한 개의 최대 연산 성능(FLOP/s)",
    "reported_flops": "발표된 총연산량(FLOP)",
    # statuses
    "read": "원문 확인",
    "read in a secondary source": "2차 출처에서 확인",
    "computed": "계산값",
    "unverified memory": "미확인(기억에 의존)",
    "missing": "없음",
    "hub": "허브에서 확인",
    "hub-page": "허브 페이지 사본",
    "package": "패키지 수록 설정",
    "published": "복수 출처 일치",
    "class-default": "클래스 기본값",
    "unverified": "미확인",
}

ENGLISH: Mapping[str, str] = {
    "total_parameters": "total parameters",
    "active_parameters": "active parameters",
    "tokens": "training tokens",
    "tokens_alternative": "training tokens, as stated elsewhere",
    "gpu_hours": "GPU hours",
    "peak_flops": "peak of one GPU (FLOP/s)",
    "reported_flops": "stated operations (FLOP)",
}
