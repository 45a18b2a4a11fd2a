"""Every text of the page's story, in each language; {names} are filled in. It states no result: verdicts do."""

STORY: dict[str, dict[str, str]] = {
    "en": {
        "title": "From an autoencoder to a VAE",
        "autoencoder": "An autoencoder",
        "autoencoder_parts": "An autoencoder is two networks. The encoder turns an image into a code, here of"
        " {dims}; the decoder turns the code back into an image. They are trained together, with a single request:"
        " the image that comes out should be the one that went in. A code is far smaller than an image, so the two"
        " must find out what images have in common.",
        "numbers_one": "{n} number",
        "numbers_many": "{n} numbers",
        "or": " or ",
        "space": "Its latent space, and the gaps in it",
        "space_free": "The codes live in the latent space. Nothing in that request says where in it they should lie,"
        " how far apart, or what the decoder should make of a point between two of them. So an autoencoder is free"
        " to leave gaps, where its decoder was never trained, and nobody can say in advance where a new point should"
        " be drawn to decode to an image.",
        "space_try": "Try it above: “{button}” puts the same points on every plane, and each decoder draws what it"
        " makes of them.",
        "variance": "A mean and a log-variance, and why the log",
        "variance_two": "For each latent dimension, the encoder of a variational autoencoder (VAE) returns two"
        " numbers instead of one: a mean and a log-variance. Together they are a Gaussian around the place of the"
        " image, q(z | x), which is drawn as an ellipse.",
        "variance_log": "Why the logarithm? A network’s output is any real number, and a variance is positive."
        " exp(log_var) is positive whatever the network returns, and exp(log_var / 2) is the standard deviation. At"
        " a log-variance of 0 the Gaussian is as wide as N(0, 1); at -2 its variance is 0.14, at -6 it is 0.0025.",
        "draw": "Drawing a code that gradients can pass",
        "draw_why": "The decoder is given one point, drawn from that Gaussian. A draw has no derivative, and the"
        " encoder could learn nothing through it. So chance is moved out of the network: ε is drawn from N(0, I),"
        " whatever the image, and the network’s two outputs shift and scale it. Given ε, the code is an ordinary"
        " function of both, which has a derivative. This is the reparameterization (Kingma & Welling 2014).",
        "draw_button": "Draw ε",
        "draw_digit": "Another test digit",
        "draw_original": "test digit",
        "draw_mean": "decoded mean",
        "draw_plane": "Latent plane of the {model}: the dashed circles are N(0, I), from which ε is drawn; the"
        " ellipse is q(z | x) of the test digit, onto which each ε is shifted and scaled.",
        "draw_decodes": "Decodes of the {n} codes, in the order in which they were drawn",
        "draw_row_mean": "mean",
        "draw_row_sd": "exp(log_var / 2)",
        "draw_row_eps": "ε, the last",
        "draw_row_z": "z",
        "draw_first": "The first {n} of {total} dimensions.",
        "draw_status": "z = ({z})",
        "loss": "Two terms",
        "loss_terms": "The loss of a VAE has two terms, both in nats per image. The distortion, -log p(x | z), says"
        " how badly the decoder draws the image from the code it was given. The rate is the Kullback-Leibler"
        " divergence of q(z | x) from N(0, I); the KL weight says how much it counts. An autoencoder has the"
        " distortion alone.",
        "loss_code": "This is the whole difference in this project, read from {file} when this page was written."
        " Lines that only one of the two has are marked.",
        "loss_parts": "And these are the two that the VAE calls:",
        "code_of": "The loss of the {model}",
        "code_parts": "The draw and the KL term",
        "kl": "What the KL term asks for, and what it charges",
        "kl_pull": "For each dimension, the KL term is ½ (mean² + exp(log_var) - 1 - log_var). It is 0 only where"
        " the mean is 0 and the variance 1: there the code is N(0, 1) for every image and says nothing about any. So"
        " it pulls all Gaussians towards N(0, I), while the distortion pulls them apart and makes them narrow.",
        "kl_hope": "What one hopes to buy: Gaussians that touch and together cover N(0, I), so that a point drawn"
        " from N(0, I) is one that the decoder knows. What one expects to pay: the noise blurs what a code says"
        " about its image, and the reconstruction suffers. Whether it was so here is a question for measurements.",
        "claims": "What is often said, and what was measured here",
        "claims_how": "Each sentence is a common claim, followed by this experiment’s verdicts on it. {link}",
        "picture": "Picture: {title}",
        "value": "{model} {value}",
        "difference": "difference {interval}",
    },
    "ko": {
        "title": "오토인코더에서 VAE까지",
        "autoencoder": "오토인코더",
        "autoencoder_parts": "오토인코더는 두 신경망으로 이루어집니다. 인코더는 이미지를 코드로 바꾸고, 디코더는"
        " 코드를 다시 이미지로 바꿉니다. 여기서 코드는 {dims}입니다. 둘은 함께 학습하며 요구는 하나뿐입니다. 들어간"
        " 이미지가 그대로 나와야 한다는 것입니다. 코드는 이미지보다 훨씬 작으므로, 두 신경망은 이미지들에 공통된"
        " 것을 찾아내야 합니다.",
        "numbers_one": "숫자 {n}개",
        "numbers_many": "숫자 {n}개",
        "or": " 또는 ",
        "space": "잠재 공간과 그 안의 빈 곳",
        "space_free": "코드는 잠재 공간의 점입니다. 위의 요구에는 코드가 어디에 놓여야 하는지, 서로 얼마나 떨어져야"
        " 하는지, 두 코드 사이의 점에서 디코더가 무엇을 그려야 하는지에 대한 말이 없습니다. 그래서 오토인코더는 빈"
        " 곳을 얼마든지 남길 수 있습니다. 디코더는 그곳을 배운 적이 없으며, 새로운 점을 어디에서 뽑아야 이미지가"
        " 나올지 미리 알 수 없습니다.",
        "space_try": "위에서 직접 확인해 보세요. ‘{button}’를 누르면 모든 평면에 같은 점이 놓이고, 각 디코더가 그"
        " 점에서 본 것을 그립니다.",
        "variance": "평균과 로그 분산, 그리고 로그를 쓰는 이유",
        "variance_two": "변분 오토인코더(VAE)의 인코더는 잠재 차원마다 숫자를 하나가 아니라 둘 내놓습니다. 평균과"
        " 로그 분산입니다. 이 둘이 이미지의 자리를 둘러싼 가우시안 q(z | x)를 이루며, 그림에서는 타원으로"
        " 나타납니다.",
        "variance_log": "왜 로그일까요? 신경망의 출력은 아무 실수나 될 수 있지만 분산은 양수여야 합니다."
        " exp(log_var)는 신경망이 무엇을 내놓든 양수이고, exp(log_var / 2)는 표준편차입니다. 로그 분산이 0이면"
        " 가우시안의 폭은 N(0, 1)과 같고, -2이면 분산이 0.14, -6이면 0.0025입니다.",
        "draw": "기울기가 흐를 수 있게 코드 뽑기",
        "draw_why": "디코더는 이 가우시안에서 뽑은 점 하나를 받습니다. 그런데 뽑기는 미분할 수 없으므로, 인코더는"
        " 그것을 거쳐서는 아무것도 배우지 못합니다. 그래서 무작위성을 신경망 밖으로 옮깁니다. 이미지와 상관없이 N(0,"
        " I)에서 ε을 뽑고, 신경망의 두 출력이 이를 옮기고 늘이거나 줄입니다. ε이 정해지면 코드는 두 출력의 평범한"
        " 함수이므로 미분할 수 있습니다. 이것이 재매개변수화입니다(Kingma & Welling 2014).",
        "draw_button": "ε 뽑기",
        "draw_digit": "다른 테스트 숫자",
        "draw_original": "테스트 숫자",
        "draw_mean": "평균의 디코딩",
        "draw_plane": "{model}의 잠재 평면: 점선으로 그린 원은 ε을 뽑는 N(0, I)이고, 타원은 테스트 숫자의 q(z |"
        " x)입니다. ε은 저마다 이 타원으로 옮겨지고 늘어나거나 줄어듭니다.",
        "draw_decodes": "코드 {n}개의 디코딩 결과, 뽑은 순서대로",
        "draw_row_mean": "평균",
        "draw_row_sd": "exp(log_var / 2)",
        "draw_row_eps": "마지막 ε",
        "draw_row_z": "z",
        "draw_first": "전체 {total}차원 중 처음 {n}개.",
        "draw_status": "z = ({z})",
        "loss": "손실의 두 항",
        "loss_terms": "VAE의 손실에는 항이 둘 있고, 단위는 모두 이미지당 nat입니다. 왜곡 -log p(x | z)는 디코더가"
        " 받은 코드에서 이미지를 얼마나 잘못 그렸는지를 말합니다. 레이트는 N(0, I)에 대한 q(z | x)의 쿨백-라이블러"
        " 발산이며, KL 가중치가 그 비중을 정합니다. 오토인코더에는 왜곡만 있습니다.",
        "loss_code": "이 프로젝트에서 둘의 차이는 이것이 전부이며, 이 페이지를 쓸 때 {file}에서 읽은 것입니다."
        " 한쪽에만 있는 줄에 표시를 했습니다.",
        "loss_parts": "VAE가 부르는 두 함수는 다음과 같습니다.",
        "code_of": "{model}의 손실",
        "code_parts": "코드 뽑기와 KL 항",
        "kl": "KL 항이 요구하는 것과 치르게 하는 것",
        "kl_pull": "KL 항은 차원마다 ½ (평균² + exp(log_var) - 1 - log_var)입니다. 평균이 0이고 분산이 1일 때만 0이"
        " 되는데, 그때 코드는 어떤 이미지에서나 N(0, 1)이므로 이미지에 대해 아무것도 말하지 않습니다. 그래서 KL 항은"
        " 모든 가우시안을 N(0, I) 쪽으로 당기고, 왜곡은 이들을 서로 떼어 놓고 좁힙니다.",
        "kl_hope": "얻고 싶은 것은 서로 맞닿아 N(0, I)를 함께 덮는 가우시안들입니다. 그러면 N(0, I)에서 뽑은 점은"
        " 디코더가 아는 점이 됩니다. 치르리라 예상하는 것은 재구성입니다. 잡음이 섞인 코드는 이미지에 대해 덜 말해"
        " 주기 때문입니다. 여기서도 그러했는지는 측정이 답할 문제입니다.",
        "claims": "흔히 하는 말과 여기서 측정한 것",
        "claims_how": "문장은 저마다 흔히 하는 주장이며, 그 아래에 이 실험의 판정이 있습니다. {link}",
        "picture": "그림: {title}",
        "value": "{model} {value}",
        "difference": "차이 {interval}",
    },
}
